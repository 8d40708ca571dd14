// Metrics of numbers, and the functions that need no network.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/train/metric_sums.h"

namespace soma::train {

// Welford (1962): the short formulas lose the digits of large means.
void Moments::add(const Answers& a) {
  for (size_t i = 0; i < a.numbers.size(); ++i) {
    Column& c = columns_[i % columns_.size()];
    const double t = a.numbers[i], y = a.outputs[i], e = y - t;
    const double dt = t - c.mean_t, dy = y - c.mean_y, de = e - c.mean_e;
    c.count += 1;
    c.mean_t += dt / c.count;
    c.mean_y += dy / c.count;
    c.mean_e += de / c.count;
    c.spread_t += dt * (t - c.mean_t);
    c.spread_y += dy * (y - c.mean_y);
    c.spread_e += de * (e - c.mean_e);
    c.together += dt * (y - c.mean_y);
    c.errors += e * e;
  }
}

double Moments::mean_over_columns(double (*f)(const Column&)) const {
  double sum = 0;
  for (const Column& c : columns_) sum += f(c);
  return sum / static_cast<double>(columns_.size());
}

// 1 - part / whole; of a target that never changes 1 when all is right, else 0.
static double explained(double part, double whole) {
  return whole > 0 ? 1 - part / whole : (part > 0 ? 0.0 : 1.0);
}
double r2(const Moments& m) {
  return m.mean_over_columns([](const auto& c) { return explained(c.errors, c.spread_t); });
}
double explained_variance(const Moments& m) {
  return m.mean_over_columns([](const auto& c) { return explained(c.spread_e, c.spread_t); });
}
double pearson(const Moments& m) {
  return m.mean_over_columns([](const auto& c) {
    const double scale = std::sqrt(c.spread_t) * std::sqrt(c.spread_y);
    return scale > 0 ? c.together / scale : 0.0;
  });
}
double concordance(const Moments& m) {
  return m.mean_over_columns([](const auto& c) {
    const double shift = c.mean_t - c.mean_y;
    const double scale = c.spread_t + c.spread_y + c.count * shift * shift;
    return scale > 0 ? 2 * c.together / scale : 0.0;
  });
}

void Columns::add(const Answers& a) {
  y_.insert(y_.end(), a.outputs.begin(), a.outputs.end());
  t_.insert(t_.end(), a.numbers.begin(), a.numbers.end());
}

double Columns::mean_over_columns(double (*f)(std::span<const double>,
                                              std::span<const double>)) const {
  const size_t rows = t_.size() / width_;
  if (rows == 0) return 0;
  std::vector<double> y(rows), t(rows);
  double sum = 0;
  for (size_t k = 0; k < width_; ++k) {
    for (size_t i = 0; i < rows; ++i) {
      y[i] = y_[i * width_ + k];
      t[i] = t_[i * width_ + k];
    }
    sum += f(y, t);
  }
  return sum / static_cast<double>(width_);
}

double median_error(const Columns& c) {
  return c.mean_over_columns([](std::span<const double> y, std::span<const double> t) {
    std::vector<double> errors(y.size());
    for (size_t i = 0; i < y.size(); ++i) errors[i] = std::abs(y[i] - t[i]);
    std::ranges::sort(errors);
    const size_t half = errors.size() / 2;
    return errors.size() % 2 ? errors[half] : 0.5 * (errors[half - 1] + errors[half]);
  });
}

// The ranks of the numbers; equal ones share the mean of theirs.
static std::vector<float> ranks_of(std::span<const double> x) {
  std::vector<size_t> order(x.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return x[a] < x[b]; });
  std::vector<float> ranks(x.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i + 1;
    while (end < order.size() && x[order[end]] == x[order[i]]) ++end;
    for (size_t j = i; j < end; ++j) ranks[order[j]] = 0.5f * static_cast<float>(i + end - 1);
    i = end;
  }
  return ranks;
}

double spearman(const Columns& c) {
  return c.mean_over_columns([](std::span<const double> y, std::span<const double> t) {
    const std::vector<float> a = ranks_of(y), b = ranks_of(t);
    Moments moments(1);
    moments.add({a, 1, {}, b});
    return pearson(moments);
  });
}

void RowMeans::add(const Answers& a) {
  const auto width = static_cast<size_t>(a.width);
  for (size_t i = 0; i < a.numbers.size(); i += width) {
    const auto row = a.outputs.subspan(i, width), wanted = a.numbers.subspan(i, width);
    double dot = 0, yy = 0, tt = 0, divergence = 0;
    probabilities(a, row, row_);
    for (size_t k = 0; k < width; ++k) {
      const double y = row[k], t = wanted[k];
      dot += y * t, yy += y * y, tt += t * t;
      if (width > 1 && t > 0) divergence += t * std::log(t / std::max(row_[k], 1e-30));
    }
    const double scale = std::sqrt(yy) * std::sqrt(tt);
    cosine_ += scale > 0 ? dot / scale : 0;
    divergence_ += divergence;
    count_ += 1;
  }
}
double cosine(const RowMeans& r) { return r.cosine(); }
double divergence(const RowMeans& r) { return r.divergence(); }

}  // namespace soma::train

namespace soma {

Tensor confusion_matrix(std::span<const int32_t> labels, std::span<const int32_t> answers,
                        int64_t classes) {
  if (labels.size() != answers.size()) {
    throw ShapeError(cat("there are ", labels.size(), " labels, but ", answers.size(), " answers"));
  }
  Tensor counts({classes, classes}, i64);
  const auto data = counts.data<int64_t>();
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    if (labels[i] >= classes || answers[i] < 0 || answers[i] >= classes) {
      throw ArgumentError(cat("row ", i, " has the label ", labels[i], " and the answer ",
                              answers[i], "; of ", classes, " classes there are 0 to ",
                              classes - 1));
    }
    data[static_cast<size_t>(labels[i] * classes + answers[i])] += 1;
  }
  return counts;
}

int64_t edit_distance(std::span<const int32_t> a, std::span<const int32_t> b) {
  std::vector<int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), int64_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t changed = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// The code points of UTF-8; a byte that is none stands for itself.
static std::vector<int32_t> code_points(std::string_view text) {
  std::vector<int32_t> points;
  for (const char c : text) {
    const int byte = static_cast<unsigned char>(c);
    const bool goes_on = (byte & 0xC0) == 0x80 && !points.empty() && points.back() > 0x7F;
    if (goes_on) {
      points.back() = (points.back() << 6) ^ byte;
    } else {
      points.push_back(byte);
    }
  }
  return points;
}

static double error_rate(std::span<const int32_t> found, std::span<const int32_t> wanted) {
  if (wanted.empty()) return found.empty() ? 0 : 1;
  return static_cast<double>(edit_distance(found, wanted)) / static_cast<double>(wanted.size());
}

double character_error_rate(std::string_view found, std::string_view wanted) {
  return error_rate(code_points(found), code_points(wanted));
}

double word_error_rate(std::string_view found, std::string_view wanted) {
  std::vector<std::string_view> known;
  const auto words_of = [&](std::string_view text) {
    std::vector<int32_t> words;
    for (const std::string_view word : split(text, ' ')) {
      if (word.empty()) continue;
      const auto at = std::ranges::find(known, word);
      words.push_back(static_cast<int32_t>(at - known.begin()));
      if (at == known.end()) known.push_back(word);
    }
    return words;
  };
  const std::vector<int32_t> a = words_of(found), b = words_of(wanted);
  return error_rate(a, b);
}

std::vector<int32_t> ctc_best_path(const Tensor& scores, int32_t blank) {
  if (scores.shape().rank() != 2) {
    throw ShapeError(cat("the best path is read from [time, classes]; found ", scores.shape()));
  }
  const int64_t classes = scores.shape()[1];
  std::vector<int32_t> labels;
  int32_t before = blank;
  for (int64_t t = 0; t < scores.shape()[0]; ++t) {
    int64_t best = 0;
    for (int64_t k = 1; k < classes; ++k) {
      if (scores.at(t * classes + k) > scores.at(t * classes + best)) best = k;
    }
    const auto label = static_cast<int32_t>(best);
    if (label != blank && label != before) labels.push_back(label);
    before = label;
  }
  return labels;
}

}  // namespace soma
