// Forecasting a series: the number of sunspots in each of the next twelve months, from the 132
// months (one cycle of the sun) before. Networks against what is usual without: the number 132
// months ago, and linear models (AR: a single neuron, the identity as its activation, whose
// prediction is fed back as the next input). All learn from the same four fifths of the months and
// predict the last fifth, 1960 to 2013, a year ahead from every month.
//
//   10_series [FOLDER]   writes FOLDER/series.svg, the forecasts beside what came
#include <cmath>
#include <iostream>
#include <sstream>

#include "check.h"
#include "soma/soma.h"

using namespace soma;
using example::check;

namespace {

constexpr int64_t window = 132, horizon = 12;

/// Counts vary the more the larger they are; their roots vary alike. Networks see roots, brought to
/// mean 0 and deviation 1 as those of the months to learn from.
struct Scale {
  explicit Scale(const Tensor& series, int64_t months) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < months; ++i) {
      sum += std::sqrt(series.at(i));
      squares += series.at(i);
    }
    mean = sum / static_cast<double>(months);
    deviation = std::sqrt(squares / static_cast<double>(months) - mean * mean);
  }
  Tensor scaled(const Tensor& series) const {
    Tensor result(series.shape());
    for (int64_t i = 0; i < series.elements(); ++i) {
      result.set(i, (std::sqrt(series.at(i)) - mean) / deviation);
    }
    return result;
  }
  double count(double scaled) const {
    const double root = std::max(0.0, scaled * deviation + mean);
    return root * root;
  }
  double mean, deviation;
};

/// Forecasts [rows, horizon] in counts.
using Forecasts = std::vector<double>;

/// The error in sunspots: the root of the mean square over all months of all forecasts.
double error_of(const Forecasts& forecasts, const Tensor& truth) {
  double squares = 0;
  for (size_t i = 0; i < forecasts.size(); ++i) {
    squares += std::pow(forecasts[i] - truth.at(static_cast<int64_t>(i)), 2);
  }
  return std::sqrt(squares / static_cast<double>(forecasts.size()));
}

/// Linear in `order` months: learns the next month, then feeds its predictions back.
Forecasts autoregression(const Tensor& series, const Scale& scale, int64_t rows, int64_t order) {
  const Dataset all = data::windows(series, order);
  const int64_t last = all.size() - rows - horizon + 1;  // the first row to predict from
  Network net = Network::parse("1", all.input_shape());
  const Dataset seen = all.subset(0, last);
  fit(net, seen,
      {.loss = mean_squared_error(),
       .optimizer = lbfgs(),  // whole data set at once: the least squares
       .epochs = 300,
       .batch = static_cast<int>(seen.size()),
       .seed = 1});
  Tensor inputs = all.subset(last, last + rows).inputs;
  Forecasts forecasts(static_cast<size_t>(rows * horizon));
  for (int64_t ahead = 0; ahead < horizon; ++ahead) {
    const Tensor next = net.predict(inputs);
    for (int64_t row = 0; row < rows; ++row) {
      forecasts[static_cast<size_t>(row * horizon + ahead)] = scale.count(next.at(row));
      for (int64_t step = 0; step + 1 < order; ++step) {
        inputs.set(row * order + step, inputs.at(row * order + step + 1));
      }
      inputs.set(row * order + order - 1, next.at(row));
    }
  }
  return forecasts;
}

/// The mean of three networks that differ in their first weights.
Forecasts networks(const std::string& text, const Dataset& train, const Dataset& test,
                   const Scale& scale, const Optimizer& optimizer, int epochs) {
  Forecasts forecasts(static_cast<size_t>(test.targets.elements()));
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Network net = Network::parse(text, train.input_shape());
    fit(net, train,
        {.loss = mean_squared_error(),
         .optimizer = optimizer,
         .epochs = epochs,
         .batch = 64,
         .seed = seed});
    const Tensor result = net.predict(test.inputs);
    for (size_t i = 0; i < forecasts.size(); ++i) {
      forecasts[i] += scale.count(result.at(static_cast<int64_t>(i))) / 3;
    }
  }
  return forecasts;
}

/// What came, and what was said of each month a year before it.
std::string picture(const Tensor& truth, const Forecasts& net, const Forecasts& linear,
                    const std::string& names) {
  const int64_t rows = truth.shape()[0];
  const auto line = [&](auto&& value, const char* style) {
    std::ostringstream points;
    for (int64_t row = 0; row < rows; ++row) {
      points << 50 + static_cast<double>(row) * 900.0 / static_cast<double>(rows) << ','
             << 300 - value(row * horizon + horizon - 1) << ' ';
    }
    return "<polyline fill=\"none\" " + std::string(style) + " points=\"" + points.str() + "\"/>\n";
  };
  std::ostringstream axes;
  for (int year = 1965; year <= 2010; year += 5) {
    const double x = 50 + ((year - 1960) * 12 - 21.0) * 900.0 / static_cast<double>(rows);
    axes << "<text x=\"" << x << "\" y=\"325\" text-anchor=\"middle\">" << year << "</text>\n";
  }
  for (int spots = 0; spots <= 250; spots += 50) {
    axes << "<text x=\"44\" y=\"" << 304 - spots << "\" text-anchor=\"end\">" << spots
         << "</text>\n<path stroke=\"#ddd\" d=\"M50 " << 300 - spots << "H950\"/>\n";
  }
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 340\" "
         "font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"1000\" height=\"340\" "
         "fill=\"#fff\"/>\n<text x=\"50\" y=\"24\" font-size=\"15\">Sunspots a month: counted "
         "(grey); said a year before by " +
         names + "</text>\n" + axes.str() +
         line([&](int64_t i) { return truth.at(i); }, "stroke=\"#999\" stroke-width=\"1\"") +
         line([&](int64_t i) { return linear[static_cast<size_t>(i)]; },
              "stroke=\"#1f6fb4\" stroke-width=\"1.4\"") +
         line([&](int64_t i) { return net[static_cast<size_t>(i)]; },
              "stroke=\"#d1442f\" stroke-width=\"2\"") +
         "</svg>\n";
}

}  // namespace

int main(int count, char** arguments) {
  const Tensor series = data::sunspots();
  const TrainTest rows = data::named("sunspots");  // the parts, in counts
  const Tensor& truth = rows.test.targets;
  const Scale scale(series, series.elements() / 5 * 4);
  const Tensor scaled = scale.scaled(series);
  const Dataset all = data::windows(scaled, window, horizon);
  const Dataset train = all.subset(0, rows.train.size());
  const Dataset test = all.subset(all.size() - rows.test.size(), all.size());
  std::cout << "Root of the mean square error, in sunspots, of " << test.size()
            << " forecasts of twelve months:\n";
  const auto say = [&](const std::string& who, const Forecasts& forecasts) {
    const double error = error_of(forecasts, truth);
    std::cout << "  " << who << ": " << error << '\n' << std::flush;
    return error;
  };

  Forecasts cycle_ago;
  for (int64_t row = 0; row < test.size(); ++row) {
    for (int64_t ahead = 0; ahead < horizon; ++ahead) {
      cycle_ago.push_back(rows.test.inputs.at(row * window + ahead));
    }
  }
  const double naive = say("the number 132 months before", cycle_ago);

  double best = naive;
  Forecasts linear;
  for (const int64_t order : {3, 12, 24, 36, 60, 132}) {
    Forecasts forecasts = autoregression(scaled, scale, test.size(), order);
    const double error = say("linear in " + std::to_string(order) + " months", forecasts);
    if (error < best) best = error, linear = std::move(forecasts);
  }

  const Forecasts dense = networks("32 relu, 12", train, test, scale,
                                   optimizer_named("adamw(0.001, weight_decay=0.1)"), 20);
  const double dense_error = say("32 neurons and 12", dense);
  const double gru_error =
      say("GRU of 16 neurons and 12",
          networks("gru 16, 12", train, test, scale, clip_global_norm(1) + adam(3e-3), 15));
  check(dense_error < naive && gru_error < naive, "both networks beat the cycle before");
  check(dense_error < best && gru_error < best,
        "and every linear model, with hindsight the best one, too");
  example::write(example::folder(count, arguments) + "series.svg",
                 picture(truth, dense, linear, "a network (red) and the best linear model (blue)"));
  return example::failures;
}
