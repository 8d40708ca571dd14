// Comparing trainings, and sweeps: every trial is the run that soma train makes of its settings;
// what was cut off goes on.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include "tests/cli/program.h"
#include "tests/inspect/xml.h"

namespace soma {
namespace {

namespace fs = std::filesystem;

Finished train_iris(const std::string& out, std::vector<std::string> more) {
  std::vector<std::string> all = {"train",        "iris", "--epochs", "3", "--seed", "1",
                                  "--validation", "0.2",  "--out",    out, "--json"};
  all.insert(all.end(), more.begin(), more.end());
  return soma_run(all);
}

size_t trials_in(const std::string& folder) {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    count += fs::exists(entry.path() / "model.soma");
  }
  return count;
}

// ---------------------------------------------------------------- compare

TEST(Compare, NamesWhatDiffersAndTheResults) {
  const TemporaryFolder folder;
  const auto done = [](const Finished& run) {
    for (const auto& line : run.json()) {
      if (line["event"] == "done") return line;
    }
    return nlohmann::json();
  };
  const auto a = done(train_iris(folder / "a", {"--lr", "0.01"}));
  const auto b = done(train_iris(folder / "b", {"--lr", "0.1", "--net", "3"}));
  const Finished run = soma_run({"compare", folder / "a", folder / "b", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const auto runs = run.json().at(0)["runs"];
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0]["settings"]["lr"], "0.01");
  EXPECT_EQ(runs[1]["settings"]["lr"], "0.1");
  EXPECT_EQ(runs[1]["settings"]["net"], "3");
  EXPECT_EQ(runs[0]["settings"].size(), 2u)
      << runs[0]["settings"] << " seed and folder are equal or idle";
  EXPECT_EQ(runs[0]["results"]["test_accuracy"], a["test_accuracy"]);
  EXPECT_EQ(runs[1]["results"]["test_loss"], b["test_loss"]);
  EXPECT_EQ(runs[1]["state"], "done");
  const Finished text = soma_run({"compare", folder / "a", folder / "b"});
  EXPECT_NE(text.out.find("validation_loss"), text.out.npos) << text.out;
}

TEST(Compare, DrawsTheCurves) {
  const TemporaryFolder folder;
  train_iris(folder / "a", {});
  train_iris(folder / "b", {"--lr", "0.1"});
  const std::string plot = folder / "curves.svg";
  ASSERT_EQ(soma_run({"compare", folder / "a", folder / "b", "--plot", plot}).code, 0);
  const std::string svg = content_of(plot);
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_NE(svg.find(">accuracy</text>"), svg.npos);
  EXPECT_NE(svg.find("<title>b</title>"), svg.npos);
  EXPECT_EQ(soma_run({"compare", folder / "a", "--plot", "x.png"}).code, 2);
}

TEST(Compare, NeedsRuns) {
  const TemporaryFolder folder;
  EXPECT_EQ(soma_run({"compare", folder.path()}).code, 1);
  EXPECT_EQ(soma_run({"compare"}).code, 2);
}

// ---------------------------------------------------------------- sweep

std::vector<std::string> sweep(const std::string& out, std::vector<std::string> more,
                               const std::string& epochs = "3") {
  std::vector<std::string> all = {"sweep", "iris",  "--epochs", epochs,  "--seed",
                                  "1",     "--out", out,        "--json"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(Sweep, GridTrialsAreTheRunsThatTrainMakes) {
  const TemporaryFolder folder;
  const Finished run = soma_run(
      sweep(folder / "s", {"--vary", "lr=0.01|0.1; net=8 tanh, 3|3", "--validation", "0.2"}));
  ASSERT_EQ(run.code, 0) << run.err;
  const auto lines = run.json();
  ASSERT_EQ(lines.size(), 5u) << run.out;
  std::vector<double> losses;
  for (size_t i = 0; i < 4; ++i) losses.push_back(lines[i]["loss"]);
  EXPECT_EQ(lines[1]["settings"]["lr"], "0.01");
  EXPECT_EQ(lines[1]["settings"]["net"], "3");
  const auto best = std::ranges::min_element(losses) - losses.begin();
  EXPECT_EQ(lines[4]["best"], lines[static_cast<size_t>(best)]["run"]);
  EXPECT_EQ(lines[4]["loss"], losses[static_cast<size_t>(best)]);
  train_iris(folder / "same", {"--lr", "0.1", "--net", "8 tanh, 3"});
  EXPECT_EQ(content_of(folder / "s/trial-3/model.soma"), content_of(folder / "same/model.soma"));
  const std::string page = content_of(folder / "s/sweep.html");
  EXPECT_EQ(xml_error(std::string_view(page).substr(page.find("<html"))), "");
  EXPECT_NE(page.find("8 tanh, 3"), page.npos);
  EXPECT_TRUE(fs::exists(folder / "s/trial-2/report.html"));
}

TEST(Sweep, RandomDrawsLieInTheirRangesAndAreTheSameAgain) {
  const TemporaryFolder folder;
  const std::vector<std::string> more = {"--method", "random", "--trials",
                                         "6",        "--vary", "lr=1e-4..1e-1 log; batch=8..16"};
  const auto first = soma_run(sweep(folder / "a", more)).json();
  const auto second = soma_run(sweep(folder / "b", more)).json();
  ASSERT_EQ(first.size(), 7u);
  std::set<std::string> rates;
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(first[i]["settings"], second[i]["settings"]);
    EXPECT_EQ(first[i]["loss"], second[i]["loss"]);
    const auto rate = first[i]["settings"]["lr"].get<std::string>();
    rates.insert(rate);
    EXPECT_GE(std::stod(rate), 1e-4);
    EXPECT_LE(std::stod(rate), 1e-1);
    const int batch = std::stoi(first[i]["settings"]["batch"].get<std::string>());
    EXPECT_GE(batch, 8);
    EXPECT_LE(batch, 16);
    EXPECT_EQ(first[i]["settings"]["batch"], std::to_string(batch));
  }
  EXPECT_EQ(rates.size(), 6u);
}

TEST(Sweep, HalvingLetsTheBestThirdGoOn) {
  const TemporaryFolder folder;
  const Finished run = soma_run(sweep(
      folder / "s", {"--method", "halving", "--trials", "9", "--vary", "lr=1e-4..1 log"}, "9"));
  ASSERT_EQ(run.code, 0) << run.err;
  std::map<int, std::vector<std::pair<double, std::string>>> rounds;
  for (const auto& line : run.json()) {
    if (line["event"] == "trial") rounds[line["epochs"]].emplace_back(line["loss"], line["run"]);
  }
  ASSERT_EQ(rounds.size(), 3u);
  EXPECT_EQ(rounds[1].size(), 9u);
  EXPECT_EQ(rounds[3].size(), 3u);
  EXPECT_EQ(rounds[9].size(), 1u);
  std::ranges::sort(rounds[1]);
  std::ranges::sort(rounds[3]);
  for (size_t i = 0; i < 3; ++i) {  // the same runs, three times as long
    const auto kept =
        std::ranges::find(rounds[3], rounds[1][i].second, [](const auto& r) { return r.second; });
    EXPECT_NE(kept, rounds[3].end()) << rounds[1][i].second;
  }
  EXPECT_EQ(rounds[9][0].second, rounds[3][0].second);
}

TEST(Sweep, GoesOnAfterAnInterruptAndLosesNothing) {
  const TemporaryFolder folder;
  const std::vector<std::string> more = {"--vary", "lr=0.001|0.01|0.1|0.2"};
  const Finished whole = soma_run(sweep(folder / "whole", more, "500"));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const Program program(sweep(folder / "cut", more, "500"));
  while (program.output_so_far().find("trial") == std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  program.interrupt();
  const Finished cut = program.wait();
  if (cut.code == 0) GTEST_SKIP() << "the sweep ended before the interrupt";
  ASSERT_EQ(cut.code, 130) << cut.err;
  EXPECT_EQ(cut.json().back()["interrupted"], true);
  const Finished rest = soma_run({"sweep", "--resume", folder / "cut", "--json"});
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(trials_in(folder / "cut"), 4u);
  for (const char* trial : {"1", "2", "3", "4"}) {
    const std::string name = std::string("trial-") + trial + "/model.soma";
    EXPECT_EQ(content_of(folder / ("cut/" + name)), content_of(folder / ("whole/" + name)));
  }
}

TEST(Sweep, ADivergedTrialIsTheWorst) {
  const TemporaryFolder folder;
  const Finished run = soma_run(
      sweep(folder / "s",
            {"--vary", "lr=0.01|1e5", "--optimizer", "sgd", "--loss", "mean_squared_error"}, "30"));
  ASSERT_EQ(run.code, 0) << run.err << run.out;
  EXPECT_NE(run.json().back()["best"].get<std::string>().find("trial-1"), std::string::npos);
}

TEST(Sweep, RefusesWhatItCannotTry) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& vary, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--vary", vary});
    const Finished run = soma_run(sweep(folder / "s", more));
    EXPECT_EQ(run.code, 2) << vary << run.out;
    return run.err;
  };
  EXPECT_NE(error("rl=1|2").find("\"rl\""), std::string::npos);
  EXPECT_NE(error("bacth=1|2").find("did you mean \"batch\""), std::string::npos);
  EXPECT_NE(error("lr").find("names no values"), std::string::npos);
  EXPECT_NE(error("lr=1|").find("empty value"), std::string::npos);
  EXPECT_NE(error("lr=2..1").find("begin below its end"), std::string::npos);
  EXPECT_NE(error("lr=0..1 log").find("above 0"), std::string::npos);
  EXPECT_NE(error("lr=a..1").find("a number is needed"), std::string::npos);
  EXPECT_NE(error("lr=1|2; lr=3").find("twice"), std::string::npos);
  EXPECT_NE(error("").find("--vary says what to try"), std::string::npos);
  EXPECT_NE(error("epochs=x|y").find("epochs"), std::string::npos);
  EXPECT_NE(error("lr=1|2", {"--method", "magic"}).find("grid, random or halving"),
            std::string::npos);
  EXPECT_EQ(soma_run({"sweep", "iris", "--vary", "lr=1|2"}).code, 2) << "it needs a folder";
  EXPECT_FALSE(fs::exists(folder / "s"));
  EXPECT_EQ(soma_run({"sweep", "--resume", folder / "s"}).code, 1);
  ASSERT_EQ(soma_run(sweep(folder / "s", {"--vary", "lr=0.1"})).code, 0);
  const Finished again = soma_run(sweep(folder / "s", {"--vary", "lr=0.1"}));
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("soma sweep --resume"), std::string::npos);
  EXPECT_EQ(soma_run(sweep(folder / "s", {"--vary", "lr=0.2", "--overwrite"})).code, 0);
}

TEST(Sweep, TakesItsRangesFromAFile) {
  const TemporaryFolder folder;
  const std::string file = folder.write("sweep.toml",
                                        "data = \"iris\"\nepochs = 2\nvary = \"\"\"\nlr = 0.01 | "
                                        "0.1\nbatch = 16..32\n\"\"\"\npoints = 2\n");
  const Finished run = soma_run({"sweep", "--config", file, "--out", folder / "s", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.json().back()["trials"], 4);
  EXPECT_EQ(run.json()[3]["settings"]["batch"], "32");
}

}  // namespace
}  // namespace soma
