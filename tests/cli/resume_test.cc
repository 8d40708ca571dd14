// A training loses nothing: it is killed at any moment, interrupted, damaged, starved of disk, and
// goes on to the same bits.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "tests/cli/program.h"

namespace soma {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

std::vector<std::string> with(std::vector<std::string> arguments,
                              std::initializer_list<std::string> more) {
  arguments.insert(arguments.end(), more);
  return arguments;
}

/// About a second of work with everything that a state has: dropout, statistics, moments, a
/// schedule, validation, the best weights.
std::vector<std::string> command(const std::string& out) {
  return {"train",
          "iris",
          "--net",
          "24 tanh, batch_norm, dropout 0.2, 3",
          "--epochs",
          "60",
          "--batch",
          "4",
          "--schedule",
          "cosine",
          "--lr",
          "0.01",
          "--validation",
          "0.2",
          "--best",
          "accuracy",
          "--seed",
          "7",
          "--threads",
          "1",
          "--checkpoint-every",
          "5",
          "--keep-best",
          "2",
          "--json",
          "--out",
          out};
}

void wait_for(const Program& program, const std::string& text) {
  for (int i = 0; i < 1000 && program.output_so_far().find(text) == std::string::npos; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
}

/// The lines of metrics.jsonl without what the clock has a part in.
std::vector<nlohmann::json> metrics_of(const std::string& folder) {
  std::istringstream text(content_of(folder + "/metrics.jsonl"));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) {
    lines.push_back(nlohmann::json::parse(line));
    for (const char* key : {"seconds", "samples_per_second", "model"}) lines.back().erase(key);
  }
  return lines;
}

/// SOMA_KILLS=50 for the number of kills; fewer by default.
TEST(Resume, AfterKillsAtAnyMomentGivesTheSameBits) {
  const char* wanted_kills = std::getenv("SOMA_KILLS");
  const int kills = wanted_kills ? std::atoi(wanted_kills) : 12;
  TemporaryFolder folder;
  const auto start = std::chrono::steady_clock::now();
  const Finished whole = soma_run(command(folder / "whole"));
  const auto time = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(whole.code, 0) << whole.err;
  const std::string wanted = done_of(whole)["weights_sha256"];
  std::mt19937 random(1);
  std::uniform_real_distribution<double> share(0, 0.5);
  int killed = 0, finished = 0;
  for (int round = 0; killed < kills; ++round) {
    const std::string out = folder / ("run" + std::to_string(round));
    for (;;) {
      const bool begun = fs::exists(out + "/run.toml");
      const Program program(begun ? std::vector<std::string>{"train", "--resume", out, "--json"}
                                  : command(out));
      if (killed < kills) {
        std::this_thread::sleep_for(share(random) * time);
        program.kill_at_once();
      }
      const Finished run = program.wait();
      EXPECT_EQ(run.err, "");  // no checkpoint is ever found damaged
      if (run.code == 128 + SIGKILL) {
        ++killed;
        continue;
      }
      ASSERT_EQ(run.code, 0);
      ++finished;
      EXPECT_EQ(done_of(run)["weights_sha256"], wanted);
      EXPECT_EQ(metrics_of(out), metrics_of(folder / "whole"));
      break;
    }
  }
  EXPECT_GE(killed, kills);
  EXPECT_GE(finished, 1);
}

/// Sources that read, cut and scale their rows each in their own way.
TEST(Resume, WithAnyKindOfDataGivesTheSameBits) {
  const TemporaryFolder folder;
  std::string story, table = "day,load,heat\n";
  for (int i = 0; i < 300; ++i) {
    const auto n = std::to_string(i * i % 17), m = std::to_string(i % 24);
    story += "On day " + n + " the hens of house " + m + " laid eggs.\n";
    table += std::to_string(i) + "," + n + "," + m + "\n";
  }
  const std::string text = folder.write("story.txt", story), csv = folder.write("load.csv", table);
  std::vector<std::vector<std::string>> commands = {
      {"train", text, "--tokenizer", "bpe(size=280)", "--context", "16", "--net",
       "embedding vocabulary 8, lstm 8 returns=all, dense(vocabulary per_step=true)"},
      {"train", csv, "--series", "--target", "load", "--window", "12", "--horizon", "3",
       "--accumulate", "2", "--plateau", "1"},
      {"train", csv, "--target", "load", "--drop", "day", "--patience", "2"}};
  if (fs::exists("/usr/share/datasets/fashion-mnist") || std::getenv("SOMA_DATA")) {
    commands.push_back({"train", "fashion-mnist", "--limit", "200", "--net",
                        "conv2d 2 3 relu, max_pool 4, 10", "--augment", "flip + crop(2) + mixup",
                        "--validation", "0.2", "--best", "accuracy"});
  }
  for (size_t i = 0; i < commands.size(); ++i) {
    SCOPED_TRACE(commands[i][1]);
    const std::string out = folder / ("run" + std::to_string(i));
    const auto command = with(commands[i], {"--epochs", "3", "--seed", "5", "--json"});
    const Finished whole = soma_run(command);
    ASSERT_EQ(whole.code, 0) << whole.err;
    ASSERT_EQ(soma_run(with(command, {"--steps", "7", "--threads", "2", "--out", out})).code, 0);
    const Finished rest = soma_run({"train", "--resume", out, "--steps", "0", "--json"});
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_EQ(done_of(rest)["weights_sha256"], done_of(whole)["weights_sha256"]);
  }
}

class Run : public testing::Test {
 protected:
  std::string out() const { return folder_ / "run"; }
  /// Long, and interrupted after some epochs.
  Finished interrupted(int times = 1, int milliseconds_between = 0) const {
    const Program program({"train", "iris", "--epochs", "100000000", "--out", out()});
    wait_for(program, "epoch 2/");
    for (int i = 0; i < times; ++i) {
      program.interrupt();
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds_between));
    }
    return program.wait();
  }
  TemporaryFolder folder_;
};

TEST_F(Run, OnceInterruptedSavesAndSaysHowToGoOn) {
  const Finished run = interrupted();
  EXPECT_EQ(run.code, 130) << run.err;
  EXPECT_NE(run.out.find("interrupted after"), run.out.npos);
  EXPECT_NE(run.out.find("soma train --resume " + out()), run.out.npos) << run.out;
  EXPECT_EQ(soma_run({"evaluate", out() + "/model.soma", "iris"}).code, 0);
  const Finished again = soma_run({"train", "iris", "--epochs", "1", "--out", out()});
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("--resume"), again.err.npos) << again.err;
  EXPECT_EQ(soma_run({"train", "iris", "--epochs", "1", "--overwrite", "--out", out()}).code, 0);
}

/// What the command line leaves open is found once, and steps may be all that is said.
TEST_F(Run, OfSoManyStepsGoesOnToMore) {
  const std::vector<std::string> base = {"train", "iris", "--seed", "2", "--json"};
  const std::string wanted = done_of(soma_run(with(base, {"--steps", "100"})))["weights_sha256"];
  ASSERT_EQ(soma_run(with(base, {"--steps", "50", "--out", out()})).code, 0);
  EXPECT_TRUE(fs::exists(out() + "/checkpoints/step-00000050.checkpoint"));
  const Finished run = soma_run({"train", "--resume", out(), "--steps", "100", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(done_of(run)["weights_sha256"], wanted);
}

TEST_F(Run, OfATableGoesOnWithWhatItFoundOut) {
  const std::vector<std::string> base = {"train", "iris", "--seed", "2", "--json"};
  const Finished whole = soma_run(base);
  ASSERT_GT(done_of(whole)["best_epoch"], 3);
  const Program program(with(base, {"--checkpoint-every", "1", "--out", out()}));
  wait_for(program, "\"epoch\":3");
  program.kill_at_once();
  EXPECT_EQ(program.wait().code, 128 + SIGKILL);
  const Finished run = soma_run({"train", "--resume", out(), "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(done_of(run)["weights_sha256"], done_of(whole)["weights_sha256"]);
  EXPECT_EQ(done_of(run)["best_epoch"], done_of(whole)["best_epoch"]);
}

TEST_F(Run, TwiceInterruptedEndsAtOnceAndGoesOn) {
  const Finished run = interrupted(2, 250);
  EXPECT_EQ(run.code, 130);
  const Finished rest =
      soma_run({"train", "--resume", out(), "--epochs", "3", "--steps", "1", "--json"});
  EXPECT_EQ(rest.code, 0) << rest.err;
}

/// A terminal, or `timeout`, may send the same signal to the program and to its group.
TEST_F(Run, InterruptedByManySignalsAtOnceSavesAsByOne) {
  const Finished run = interrupted(50);
  EXPECT_EQ(run.code, 130) << run.err;
  EXPECT_NE(run.out.find("soma train --resume " + out()), run.out.npos) << run.out;
  EXPECT_EQ(soma_run({"evaluate", out() + "/model.soma", "iris"}).code, 0);
}

TEST_F(Run, GoesOnFromAnotherFolderWithMoreEpochs) {
  const std::vector<std::string> base = {"train", "iris", "--batch", "16", "--seed", "2"};
  const std::string wanted =
      done_of(soma_run(with(base, {"--epochs", "9", "--json"})))["weights_sha256"];
  ASSERT_EQ(soma_run(with(base, {"--epochs", "4", "--out", out()})).code, 0);
  fs::rename(out(), folder_ / "moved");
  const std::vector<std::string> resume = {"train", "--resume", folder_ / "moved", "--json"};
  const Finished run = soma_run(with(resume, {"--epochs", "9"}));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(done_of(run)["weights_sha256"], wanted);
  // Once more there is nothing to do, and the nine epochs are remembered.
  const Finished rest = soma_run(resume);
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(done_of(rest)["weights_sha256"], wanted);
  EXPECT_EQ(done_of(rest)["epochs"], 9);
}

TEST_F(Run, WithADamagedCheckpointGoesOnFromTheOneBefore) {
  const std::string wanted = done_of(soma_run(command(folder_ / "whole")))["weights_sha256"];
  ASSERT_EQ(soma_run(with(command(out()), {"--steps", "500"})).code, 0);
  std::fstream file(out() + "/checkpoints/step-00000500.checkpoint",
                    std::ios::in | std::ios::out | std::ios::binary);
  ASSERT_TRUE(file.is_open());
  file.seekp(5000);
  file << "damage";
  file.close();
  const Finished run = soma_run({"train", "--resume", out(), "--steps", "0", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.err.find("step-00000500.checkpoint\" is damaged"), run.err.npos) << run.err;
  EXPECT_EQ(done_of(run)["weights_sha256"], wanted);
}

TEST_F(Run, OnAFullDiskIsASentenceAndLosesNothing) {
  ASSERT_EQ(soma_run(with(command(out()), {"--steps", "500"})).code, 0);
  const auto shell = [&](const std::string& text) {
    return std::system(("bash -c '" + text + "' > " + (folder_ / "out") + " 2>&1").c_str());
  };
  EXPECT_NE(shell("ulimit -f 1; " SOMA_PROGRAM " train --resume " + out() + " --steps 0"), 0);
  const std::string text = content_of(folder_ / "out");
  EXPECT_NE(text.find("cannot write"), text.npos) << text;
  const Finished run = soma_run({"train", "--resume", out(), "--steps", "0", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(done_of(run)["weights_sha256"],
            done_of(soma_run(command(folder_ / "whole")))["weights_sha256"]);
}

TEST_F(Run, InAReadOnlyFolderIsASentence) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  ASSERT_EQ(soma_run(with(command(out()), {"--steps", "50"})).code, 0);
  fs::permissions(out() + "/checkpoints", fs::perms::owner_read | fs::perms::owner_exec);
  const Finished run = soma_run({"train", "--resume", out(), "--steps", "0"});
  fs::permissions(out() + "/checkpoints", fs::perms::owner_all);
  EXPECT_EQ(run.code, 1);
  EXPECT_NE(run.err.find("ermission"), run.err.npos) << run.err;
  EXPECT_EQ(soma_run({"train", "--resume", out(), "--steps", "60"}).code, 0);
}

TEST_F(Run, IsAloneInItsFolder) {
  const Program program({"train", "iris", "--epochs", "100000000", "--out", out()});
  wait_for(program, "epoch 2/");
  const Finished other = soma_run({"train", "--resume", out()});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("another training"), other.err.npos) << other.err;
  program.interrupt();
  EXPECT_EQ(program.wait().code, 130);
}

TEST_F(Run, ThatDivergedNamesItsCheckpointAndMayBeTriedAgain) {
  const std::vector<std::string> base = {"train", "iris", "--net", "8 relu, 3", "--out", out()};
  const Finished bad = soma_run({"train", "iris", "--net", "8 relu, 8, 3", "--out", out(), "--lr",
                                 "1e6", "--optimizer", "sgd", "--epochs", "200", "--loss",
                                 "mean_squared_error", "--checkpoint-every", "1"});
  EXPECT_EQ(bad.code, 1);
  for (const char* part : {"diverged", "the rows", "step"}) {
    EXPECT_NE(bad.err.find(part), bad.err.npos) << bad.err;
  }
  EXPECT_EQ(soma_run(with(base, {"--epochs", "1"})).code, 0);
}

TEST_F(Run, IsDescribedByAFileThatTrainsTheSameAgain) {
  const Finished first = soma_run(with(command(out()), {"--steps", "40"}));
  const Finished second =
      soma_run({"train", "--config", out() + "/run.toml", "--out", folder_ / "again", "--json"});
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(done_of(second)["weights_sha256"], done_of(first)["weights_sha256"]);
}

TEST(Configuration, IsWrittenWithEveryOptionExplained) {
  TemporaryFolder folder;
  const std::string path = folder / "mine.toml";
  ASSERT_EQ(soma_run({"init", path}).code, 0);
  const std::string text = content_of(path);
  for (const char* part : {"\n# epochs = \n", "\n# lr = \n", "\nsteps = 0\n", "\n# drop = []\n"}) {
    EXPECT_NE(text.find(part), text.npos) << text;
  }
  EXPECT_EQ(soma_run({"init", path}).code, 1);
  const Finished run = soma_run({"train", "iris", "--config", path, "--epochs", "2", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(done_of(run)["weights_sha256"],
            done_of(soma_run({"train", "iris", "--epochs", "2", "--json"}))["weights_sha256"]);
}

TEST(LearningRates, AreTriedAndSuggested) {
  TemporaryFolder folder;
  const std::string plot = folder / "rates.svg";
  const Finished run = soma_run({"train", "iris", "--find-lr", "--plot", plot});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("suggested: --lr "), run.out.npos) << run.out;
  EXPECT_EQ(content_of(plot).rfind("<svg", 0), 0u);
  const auto tried = soma_run({"train", "iris", "--find-lr", "--json"}).json()[0];
  EXPECT_EQ(tried["rates"].size(), tried["losses"].size());
  EXPECT_GT(tried["suggestion"], 1e-4);
  EXPECT_LT(tried["suggestion"], 1);
}

TEST(Configuration, IsRefusedByLineAndColumn) {
  TemporaryFolder folder;
  const auto refusal = [&](const std::string& text, std::initializer_list<const char*> facts) {
    const std::string path = folder.write("soma.toml", text);
    const Finished run = soma_run({"train", "--config", path, "--epochs", "1"});
    EXPECT_EQ(run.code, 2) << text;
    for (const char* fact : facts) EXPECT_NE(run.err.find(fact), run.err.npos) << run.err;
  };
  refusal("data = 'iris'\nepoch = 3\n", {"soma.toml", "line 2", "\"epoch\"", "epochs"});
  refusal("data = 'iris'\nbatch = 'many'\n", {"line 2", "batch", "whole number", "many"});
  refusal("data = 'iris'\nbatch = 0\n", {"batch", "\"0\""});
  refusal("data = 'iris'\ndrop = 'a'\n", {"drop", "list"});
  refusal("data = 'iris'\nlr = [1]\n", {"lr", "number"});
  refusal("data = 'iris'\noverwrite = 'yes'\n", {"overwrite", "true or false"});
  refusal("data = 'iris\n", {"line 1"});
  refusal("data = 'iris'\ndata = 'xor'\n", {"line 2"});
  refusal("[train]\ndata = 'iris'\n", {"line 1", "train"});
  refusal("epochs = 3\n", {"needs data"});
  EXPECT_EQ(soma_run({"train", "--config", folder / "none.toml"}).code, 1);
  EXPECT_EQ(soma_run({"train", "--resume", folder / "none"}).code, 1);
  EXPECT_EQ(soma_run({"train", "iris", "--checkpoint-every", "soon", "--out", folder / "r"}).code,
            2);
}

}  // namespace
}  // namespace soma
