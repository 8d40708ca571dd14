// What a run leaves for readers: report.html and event files.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cli/program.h"
#include "tests/event_records.h"
#include "tests/inspect/xml.h"

namespace soma {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> iris_command(const std::string& out) {
  return {"train", "iris",         "--net", "8 tanh, 3", "--epochs", "4",     "--seed",
          "1",     "--validation", "0.2",   "--out",     out,        "--json"};
}

std::vector<nlohmann::json> metrics_of(const std::string& folder) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(content_of(folder + "/metrics.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

std::vector<EventRecord> events_of(const std::string& folder) {
  std::vector<EventRecord> all;
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().find("tfevents") == std::string::npos) continue;
    ++files;
    const std::string content = content_of(entry.path().string());
    all = EventReader(content).all();
  }
  EXPECT_EQ(files, 1);
  return all;
}

TEST(Report, IsThereAfterTrainingAndIsMadeAgain) {
  const TemporaryFolder folder;
  const std::string out = folder / "run";
  ASSERT_EQ(soma_run(iris_command(out)).code, 0);
  const std::string page = content_of(out + "/report.html");
  ASSERT_FALSE(page.empty());
  EXPECT_EQ(xml_error(std::string_view(page).substr(page.find("<html"))), "");
  EXPECT_NE(
      page.find(
          "<span>soma train iris</span> <span>--net &#39;8 tanh, 3&#39;</span> <span>--epochs 4"),
      page.npos);
  fs::remove(out + "/report.html");
  const Finished again = soma_run({"report", out});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, "wrote " + out + "/report.html\n");
  EXPECT_EQ(content_of(out + "/report.html"), page);
}

TEST(Report, TheCommandInItTrainsTheSame) {
  const TemporaryFolder folder;
  soma_run(iris_command(folder / "one"));
  const std::string page = content_of(folder / "one/report.html");
  const size_t begin = page.find("<pre>") + 5;
  std::string command = page.substr(begin, page.find("</pre>") - begin);
  const auto replace = [&](const std::string& old, const std::string& fresh) {
    for (size_t at; (at = command.find(old)) != command.npos;)
      command.replace(at, old.size(), fresh);
  };
  replace("<span>", "");
  replace("</span>", "");
  replace("&#39;", "'");
  replace("/one", "/two");
  ASSERT_EQ(command.rfind("soma train iris", 0), 0u) << command;
  command = SOMA_PROGRAM + command.substr(4) + " --quiet > /dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  EXPECT_EQ(content_of(folder / "two/model.soma"), content_of(folder / "one/model.soma"));
}

TEST(Report, NeedsATraining) {
  const TemporaryFolder folder;
  const Finished run = soma_run({"report", folder / "nothing"});
  EXPECT_EQ(run.code, 1);
  EXPECT_NE(run.err.find("run.toml"), run.err.npos) << run.err;
}

TEST(Events, AreTheLinesOfTheMetrics) {
  const TemporaryFolder folder;
  const std::string out = folder / "run";
  ASSERT_EQ(soma_run(iris_command(out)).code, 0);
  std::map<std::pair<std::string, int64_t>, double> wanted;
  for (const auto& line : metrics_of(out)) {
    if (line["event"] == "step") wanted[{"step/loss", line["steps_done"]}] = line["loss"];
    if (line["event"] == "epoch") {
      wanted[{"epoch/accuracy", line["epoch"]}] = line["accuracy"];
      wanted[{"epoch/validation_loss", line["epoch"]}] = line["validation_loss"];
    }
    if (line["event"] != "layers") continue;
    wanted[{"update/hidden1", line["steps_done"]}] = line["layers"]["hidden1"]["update"];
  }
  EXPECT_GT(wanted.size(), 30u);
  size_t found = 0;
  for (const EventRecord& event : events_of(out)) {
    const auto place = wanted.find({event.tag, event.step});
    if (place == wanted.end()) continue;
    ++found;
    EXPECT_EQ(event.value, static_cast<float>(place->second)) << event.tag << " " << event.step;
  }
  EXPECT_EQ(found, wanted.size());
}

TEST(Events, OfAResumedTrainingHaveNothingTwice) {
  const TemporaryFolder folder;
  const std::string out = folder / "run";
  ASSERT_EQ(soma_run(iris_command(out)).code, 0);
  ASSERT_EQ(soma_run({"train", "--resume", out, "--epochs", "6", "--quiet"}).code, 0);
  std::map<std::pair<std::string, int64_t>, int> times;
  double before = 0;
  for (const EventRecord& event : events_of(out)) {
    if (event.tag.empty()) continue;
    EXPECT_EQ((++times[{event.tag, event.step}]), 1) << event.tag << " " << event.step;
    if (event.tag != "epoch/loss") continue;
    EXPECT_GE(event.wall_time, before);
    before = event.wall_time;
  }
  for (int64_t epoch = 1; epoch <= 6; ++epoch) {
    EXPECT_EQ((times[{"epoch/loss", epoch}]), 1) << epoch;
  }
}

}  // namespace
}  // namespace soma
