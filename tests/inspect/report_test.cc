// Reports: whole pages that fetch nothing, whose numbers are those of the network; charts;
// pictures; event files.
#include "soma/report.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "soma/chart.h"
#include "soma/event_file.h"
#include "soma/optim.h"
#include "src/base/crc.h"
#include "src/base/file.h"
#include "src/inspect/html.h"
#include "src/inspect/judgement.h"
#include "src/inspect/picture.h"
#include "tests/event_records.h"
#include "tests/inspect/xml.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t count(std::string_view text, std::string_view part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// "" for a page that is whole and asks nobody for anything.
std::string page_error(const std::string& page) {
  const std::string_view doctype = "<!DOCTYPE html>\n";
  if (!page.starts_with(doctype)) return "no document type";
  for (const char* foreign : {"<script", "url(", "@import", "<link rel=\"stylesheet",
                              "javascript:", "<iframe", "<object", "onload="}) {
    if (page.find(foreign) != page.npos) return std::string("found ") + foreign;
  }
  for (const std::string_view attribute : {"src=\"", "href=\""}) {
    for (size_t at = page.find(attribute); at != page.npos; at = page.find(attribute, at + 1)) {
      if (page.compare(at + attribute.size(), 5, "data:") != 0) return "an address outside";
    }
  }
  // The name of SVG's namespace is no address.
  if (count(page, "http") != count(page, "http://www.w3.org/2000/svg")) return "found http";
  return xml_error(std::string_view(page).substr(doctype.size()));
}

/// The cells of the first table below that title, without the heading.
std::vector<std::vector<std::string>> table_of(const std::string& page, const std::string& title) {
  std::vector<std::vector<std::string>> rows;
  const size_t figure = page.find(">" + title + "<");
  const size_t begin = page.find("<tbody>", figure), end = page.find("</tbody>", begin);
  for (size_t row = page.find("<tr>", begin); row < end; row = page.find("<tr>", row + 1)) {
    rows.emplace_back();
    const size_t stop = page.find("</tr>", row);
    for (size_t cell = page.find("<td", row); cell < stop; cell = page.find("<td", cell + 1)) {
      const size_t text = page.find('>', cell) + 1;
      rows.back().push_back(page.substr(text, page.find("</td>", text) - text));
    }
  }
  return rows;
}

struct Trained {
  Network net;
  Report report;
  Dataset test;
  ModelInfo info;
};

Trained trained(Network net, const TrainTest& data, const Loss& loss) {
  Trained result{std::move(net), {}, data.test, {}};
  FitOptions options{.loss = loss,
                     .optimizer = adam(0.02),
                     .epochs = 6,
                     .batch = 16,
                     .validation = &result.test,
                     .seed = 1,
                     .device = Device::cpu(1)};
  LayerWatch watch(result.net, data.train, options);
  options.callbacks = {
      std::ref(watch), [&](const Event& event) {
        if (event.kind == Event::Kind::step) {
          result.report.steps.push_back({event.steps * (event.epoch - 1) + event.step, event.epoch,
                                         event.step_loss, event.learning_rate, event.seconds});
        }
        return true;
      }};
  const History history = fit(result.net, data.train, options);
  result.report.title = "a <title> & more";
  result.report.introduction = "What it is.";
  result.report.epochs = history.epochs;
  result.report.layers = {watch.sizes().begin(), watch.sizes().end()};
  result.report.seconds = history.seconds;
  result.report.command = "soma train 'x' --net \"4\"";
  result.report.settings = {{"epochs", "6"}, {"net", "8 tanh, 3"}, {"seed", "1"}};
  result.info.loss = loss.text();
  result.info.class_names = data.test.class_names;
  return result;
}

Trained trained_on_iris() {
  auto [train, test] = data::iris().split(0.7, 1);
  return trained({input({4}), dense(8, tanh), dense(3)}, {train, test}, cross_entropy());
}

std::string page_of(const Trained& t) {
  return report_html(t.report, t.net, t.info, t.test, Device::cpu(1));
}

TEST(Report, OfClassesIsAWholePageWithEveryFigure) {
  const std::string page = page_of(trained_on_iris());
  EXPECT_EQ(page_error(page), "");
  for (const char* title :
       {"Confusion matrix", "Calibration", "Figures of each class", "Loss", "accuracy",
        "Learning rate", "Time of each epoch", "Gradients", "Updates"}) {
    EXPECT_THAT(page, HasSubstr(std::string(">") + title + "</text>"));
    EXPECT_FALSE(table_of(page, title).empty()) << title;
  }
  for (const char* heading : {"Results on the test rows", "Worst mistakes", "Learning", "Layers",
                              "Network", "To reproduce it"}) {
    EXPECT_THAT(page, HasSubstr(std::string("<h2>") + heading + "</h2>"));
  }
  EXPECT_EQ(count(page, "<figure"), count(page, "<details>")) << "a table for every figure";
  EXPECT_EQ(count(page, "<figure"), count(page, "<svg "));
  EXPECT_EQ(count(page, "<style>"), 1u);
  EXPECT_THAT(page, Not(HasSubstr(" d=\"\""))) << "no curve is empty";
  EXPECT_THAT(page, HasSubstr("a &lt;title&gt; &amp; more"));
  EXPECT_THAT(page,
              HasSubstr("<span>soma train &#39;x&#39;</span> <span>--net &quot;4&quot;</span>"));
  EXPECT_THAT(page, HasSubstr("@media print"));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme:dark"));
}

TEST(Report, NumbersAreThoseOfTheNetwork) {
  const Trained t = trained_on_iris();
  const std::string page = page_of(t);
  const Tensor outputs = t.net.predict(t.test.inputs, Device::cpu(1));
  std::vector<int32_t> answers;
  for (int64_t i = 0; i < t.test.size(); ++i) {
    int32_t best = 0;
    for (int32_t k = 1; k < 3; ++k) {
      if (outputs.at(3 * i + k) > outputs.at(3 * i + best)) best = k;
    }
    answers.push_back(best);
  }
  const Tensor counts = confusion_matrix(t.test.targets.data<int32_t>(), answers, 3);
  const auto rows = table_of(page, "Confusion matrix");
  ASSERT_EQ(rows.size(), 3u);
  double right = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const auto& row = rows[static_cast<size_t>(i)];
    EXPECT_EQ(row[0], t.test.class_names[static_cast<size_t>(i)]);
    for (int64_t j = 0; j < 3; ++j) {
      EXPECT_EQ(row[static_cast<size_t>(j) + 1],
                std::to_string(counts.data<int64_t>()[static_cast<size_t>(i * 3 + j)]));
    }
    right += counts.at(4 * i);
  }
  EXPECT_THAT(page,
              HasSubstr("<dd>" + percent_of(right / static_cast<double>(t.test.size())) + "</dd>"));
  const auto losses = table_of(page, "Loss");
  ASSERT_EQ(losses.size(), t.report.epochs.size());
  for (size_t i = 0; i < losses.size(); ++i) {
    EXPECT_EQ(losses[i][1], figure_of(t.report.epochs[i].loss));
    EXPECT_EQ(losses[i][2], figure_of(t.report.epochs[i].validation->loss));
  }
  double answered = 0;
  for (const auto& row : table_of(page, "Calibration")) answered += std::stod(row[1]);
  EXPECT_EQ(answered, static_cast<double>(t.test.size()));
}

TEST(Report, OfNumbersShowsResidualsAndRowsAsTheFileHasThem) {
  std::vector<float> inputs, targets;
  for (int i = 0; i < 60; ++i) {
    inputs.insert(inputs.end(), {static_cast<float>(i) / 30 - 1, static_cast<float>(i % 3)});
    targets.push_back(3 * inputs[2 * static_cast<size_t>(i)] + inputs.back());
  }
  Dataset all =
      data::in_memory(Tensor::of(Shape{60, 2}, inputs), Tensor::of(Shape{60, 1}, targets));
  all.schema.columns = {{.name = "length"},
                        {.name = "kind", .kind = ColumnKind::category, .categories = {"a", "b"}}};
  auto [train, test] = all.split(0.7, 1);
  const Trained t = trained({input({2}), dense(1)}, {train, test}, mean_squared_error());
  const std::string page = page_of(t);
  EXPECT_EQ(page_error(page), "");
  EXPECT_EQ(table_of(page, "Residuals").size(), 24u) << "of 25 bars, as many as a table shows";
  EXPECT_FALSE(table_of(page, "Answers and targets").empty());
  const auto worst = table_of(page, "Worst mistakes");
  ASSERT_EQ(worst.size(), 12u);
  double before = HUGE_VAL;
  for (const auto& row : worst) {
    const auto i = std::stoll(row[0]);
    EXPECT_NEAR(std::stod(row[1]), t.test.targets.at(i), 1e-4);
    EXPECT_NEAR(std::stod(row[2]) - std::stod(row[1]), std::stod(row[3]), 2e-4);
    EXPECT_NEAR(std::stod(row[4]), t.test.inputs.at(2 * i), 1e-4);
    const double kind = t.test.inputs.at(2 * i + 1);
    EXPECT_EQ(row[5], kind == 0 ? "a" : kind == 1 ? "b" : "other");
    EXPECT_LE(std::abs(std::stod(row[3])), before + 1e-4);
    before = std::abs(std::stod(row[3]));
  }
}

TEST(Report, ImagesAreShownAsPictures) {
  Tensor pixels({20, 6, 5}, u8), labels({20}, i32);
  for (int64_t i = 0; i < pixels.elements(); ++i) pixels.set(i, static_cast<double>(i * 7 % 256));
  for (int64_t i = 0; i < 20; ++i) labels.set(i, static_cast<double>(i % 2));
  const Dataset all = data::in_memory(std::move(pixels), std::move(labels), {"<a>", "b"});
  const Trained t = trained({input({6, 5}), dense(2)}, {all, all}, cross_entropy());
  const std::string page = page_of(t);
  EXPECT_EQ(page_error(page), "");
  const Judgement judgement = judge(t.net, t.info, t.test, Device::cpu(1));
  EXPECT_EQ(static_cast<double>(count(page, "<img ")), judgement.mistakes());
  EXPECT_GT(judgement.mistakes(), 0) << "the test shows nothing";
}

TEST(Report, WithoutRowsAndRecordsIsStillAPage) {
  const Network net{input({2}), dense(1)};
  const std::string page = report_html({.title = "bare"}, net, {}, {}, Device::cpu(1));
  EXPECT_EQ(page_error(page), "");
  EXPECT_THAT(page, Not(HasSubstr("Results")));
  EXPECT_THAT(page, HasSubstr("<h2>Network</h2>"));
}

TEST(Report, ManyClassesArePairsAndLongTablesAreThinned) {
  Tensor inputs({200, 3}), labels({200}, i32);
  for (int64_t i = 0; i < 200; ++i) {
    inputs.set(3 * i, std::sin(static_cast<double>(i)));
    labels.set(i, static_cast<double>(i % 50));
  }
  const Dataset all = data::in_memory(std::move(inputs), std::move(labels));
  const std::string page = page_of(trained({input({3}), dense(50)}, {all, all}, cross_entropy()));
  EXPECT_EQ(page_error(page), "");
  EXPECT_THAT(page, Not(HasSubstr(">Confusion matrix<")));
  EXPECT_THAT(page, HasSubstr("confused most often"));
  EXPECT_THAT(page, HasSubstr("24 of 50 rows."));
}

// ---------------------------------------------------------------- parts

TEST(Chart, KindsLegendsAndLogarithms) {
  Chart chart{"<t>", "", {{"line & more", {1, 2, 3}, {0.001, std::nan(""), 1000}, true}}};
  chart.curves.push_back({"bars", {1, 2, 3}, {1, 2, 3}, false, Curve::Kind::bars});
  chart.curves.push_back({"points", {1, 2, 3}, {-1, 2, 3}, false, Curve::Kind::points});
  chart.legend = chart.log_y = true;
  chart.width = 440;
  const std::string svg = draw_charts(std::span(&chart, 1));
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_THAT(svg, HasSubstr(">line &amp; more</text>"));
  EXPECT_EQ(count(svg, "<circle"), 1u + 2) << "what is not positive has no logarithm";
  EXPECT_THAT(svg, HasSubstr(">0.01</text>"));
  EXPECT_THAT(svg, HasSubstr(">100</text>"));
  chart.log_y = false;
  EXPECT_EQ(count(draw_charts(std::span(&chart, 1)), "<circle"), 1u + 3);
}

TEST(Chart, EmptyAndConstantCurvesAreCharts) {
  const Chart charts[] = {{"none", "", {}},
                          {"gap", "", {{"", {1, 2}, {std::nan(""), std::nan("")}}}},
                          {"flat", "", {{"", {1, 1}, {5, 5}}}}};
  const std::string svg = draw_charts(charts, 3);
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(Picture, IsAPng) {
  EXPECT_TRUE(is_picture(u8, Shape{3, 8, 8}));
  EXPECT_TRUE(is_picture(u8, Shape{8, 8}));
  EXPECT_FALSE(is_picture(u8, Shape{2, 8, 8}));
  EXPECT_FALSE(is_picture(f32, Shape{8, 8}));
  EXPECT_FALSE(is_picture(u8, Shape{8}));
  const std::vector<uint8_t> pixels = {0, 255, 128, 1, 2, 3};
  const std::string png = png_of(pixels, Shape{2, 3});
  // Length, kind and width × height × 8 bits of grey, from the standard.
  EXPECT_EQ(png.substr(0, 26),
            std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\3\0\0\0\2\x08\0", 26));
  EXPECT_EQ(png.substr(png.size() - 12), std::string("\0\0\0\0IEND\xae\x42\x60\x82", 12));
  EXPECT_NE(png.find(std::string("\0\0\xff\x80\0\1\2\3", 8)), png.npos) << "the two lines";
  EXPECT_EQ(data_address("Man"), "data:image/png;base64,TWFu");
  EXPECT_EQ(data_address("Ma"), "data:image/png;base64,TWE=");
  EXPECT_EQ(data_address("M"), "data:image/png;base64,TQ==");
}

TEST(Crc, OfTheUsualNineDigits) {
  EXPECT_EQ(crc_of<Crc::crc32>("123456789"), 0xCBF43926u);
  EXPECT_EQ(crc_of<Crc::crc32c>("123456789"), 0xE3069283u);
}

TEST(Html, NumbersForReaders) {
  EXPECT_EQ(figure_of(0.96666), "0.9667");
  EXPECT_EQ(figure_of(60), "60");
  EXPECT_EQ(figure_of(1.234e-7), "1.23e-07");
  EXPECT_EQ(figure_of(std::nan("")), "–");
  EXPECT_EQ(figure_of(-1234.5), "-1234");
  EXPECT_EQ(time_of(0.887), "0.89\u00a0s");
  EXPECT_EQ(time_of(125), "2:05");
  EXPECT_EQ(time_of(5400), "1:30:00");
}

TEST(EventFile, HoldsWhatWasAdded) {
  const TemporaryFolder folder;
  EventFile events(folder / "run", 1700000000.5);
  EXPECT_THAT(events.path(), HasSubstr("events.out.tfevents.1700000000."));
  events.add("epoch/loss", 3, 0.25, 1700000001.25);
  events.add("a/tag", int64_t{1} << 40, -1e30, 1700000002);
  events.add("nan", 0, std::nan(""));
  const std::string content = read_text(events.path());
  const auto records = EventReader(content).all();
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].version, "brain.Event:2");
  EXPECT_EQ(records[0].wall_time, 1700000000.5);
  EXPECT_EQ(records[1].tag, "epoch/loss");
  EXPECT_EQ(records[1].step, 3);
  EXPECT_EQ(records[1].value, 0.25f);
  EXPECT_EQ(records[1].wall_time, 1700000001.25);
  EXPECT_EQ(records[2].step, int64_t{1} << 40);
  EXPECT_EQ(records[2].value, -1e30f);
  EXPECT_TRUE(std::isnan(records[3].value));
  EXPECT_GT(records[3].wall_time, 1700000000);
  std::string broken = content;
  broken[content.size() - 20] ^= 1;
  EXPECT_THROW(EventReader(broken).all(), std::runtime_error) << "the reader checks";
}

}  // namespace
}  // namespace soma
