// The commands as people and scripts use them.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "soma/soma.h"
#include "src/base/text.h"
#include "tests/cli/program.h"

namespace soma {
namespace {

const std::vector<std::string> command_names = {
    "train",   "init", "report",      "compare",   "sweep", "evaluate", "predict", "generate",
    "inspect", "list", "activations", "gradcheck", "bench", "data",     "version"};

std::vector<std::string> with(std::vector<std::string> arguments,
                              std::initializer_list<std::string> more) {
  arguments.insert(arguments.end(), more);
  return arguments;
}

bool has_fashion_mnist() {
  return std::filesystem::exists("/usr/share/datasets/fashion-mnist") ||
         std::getenv("SOMA_DATA") != nullptr;
}

TEST(Help, OfTheProgramNamesEveryCommand) {
  const Finished run = soma_run({"--help"});
  EXPECT_EQ(run.code, 0);
  for (const auto& name : command_names) EXPECT_NE(run.out.find("  " + name), run.out.npos) << name;
  EXPECT_NE(run.out.find("Exit codes"), run.out.npos);
}

TEST(Help, OfEveryCommandHasExamples) {
  for (const auto& name : command_names) {
    const Finished run = soma_run({name, "--help"});
    EXPECT_EQ(run.code, 0) << name << run.err;
    EXPECT_NE(run.out.find("Examples:"), run.out.npos) << name;
    EXPECT_NE(run.out.find("soma " + name), run.out.npos) << name;
    EXPECT_NE(run.out.find("--json"), run.out.npos) << name;
    EXPECT_EQ(soma_run({"help", name}).out, run.out);
  }
}

TEST(Version, IsOneWordInJson) {
  const Finished run = soma_run({"version", "--json"});
  ASSERT_EQ(run.json().size(), 1u);
  EXPECT_FALSE(run.json()[0]["version"].get<std::string>().empty());
  EXPECT_EQ(soma_run({"--version"}).out.rfind("soma ", 0), 0u);
}

/// The main job on 2,000 images.
class FashionMnist : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_fashion_mnist()) GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  }
  std::vector<std::string> command(const std::string& out, const std::string& threads = "2") const {
    return {
        "train",     "fashion-mnist", "--net",   "128 relu, 10", "--epochs", "3",      "--batch",
        "128",       "--optimizer",   "adam",    "--lr",         "1e-3",     "--seed", "1",
        "--threads", threads,         "--limit", "2000",         "--out",    out};
  }
  TemporaryFolder folder_;
};

TEST_F(FashionMnist, TrainsEvaluatesPredictsAndInspects) {
  const std::string out = folder_ / "run";
  const Finished train = soma_run(with(command(out), {"--json"}));
  ASSERT_EQ(train.code, 0) << train.err;
  const auto done = train.json().back();
  EXPECT_EQ(done["event"], "done");
  EXPECT_EQ(done["epochs"], 3);
  EXPECT_GT(done["test_accuracy"], 0.7);
  EXPECT_LT(done["test_loss"], 0.9);
  EXPECT_GT(done["seconds"], 0);
  EXPECT_EQ(done["weights_sha256"].get<std::string>().size(), 64u);

  std::istringstream metrics(content_of(out + "/metrics.jsonl"));
  int epochs = 0, steps = 0;
  for (std::string line; std::getline(metrics, line);) {
    const auto object = nlohmann::json::parse(line);
    const std::string kind = object["event"];
    if (kind == "epoch") {
      EXPECT_EQ(object["epoch"], ++epochs);
    } else if (kind == "step") {
      EXPECT_EQ(object["steps_done"], ++steps);
    } else if (kind == "layers") {
      EXPECT_GT(object["layers"]["hidden1"]["update"], 0);
    } else {
      EXPECT_EQ(object["weights_sha256"], done["weights_sha256"]);
    }
  }
  EXPECT_EQ(epochs, 3);
  EXPECT_EQ(steps, 48);

  const std::string model = out + "/model.soma";
  const Finished evaluate =
      soma_run({"evaluate", model, "fashion-mnist", "--limit", "2000", "--json"});
  ASSERT_EQ(evaluate.code, 0) << evaluate.err;
  EXPECT_EQ(evaluate.json()[0]["accuracy"], done["test_accuracy"]);
  EXPECT_EQ(evaluate.json()[0]["loss"], done["test_loss"]);

  // An IDX file of one image, and the same as a line of numbers, give the same answer.
  std::string idx("\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c", 16), row;
  for (int i = 0; i < 784; ++i) {
    idx += static_cast<char>(i % 251);
    row += std::to_string(i % 251) + (i < 783 ? " " : "\n");
  }
  const Finished file = soma_run({"predict", model, folder_.write("image.idx", idx), "--json"});
  ASSERT_EQ(file.code, 0) << file.err;
  EXPECT_EQ(file.out, soma_run({"predict", model, "--json"}, row).out);
  const auto answer = file.json()[0];
  ASSERT_EQ(answer["probabilities"].size(), 10u);
  double sum = 0;
  for (const double p : answer["probabilities"]) sum += p;
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_FALSE(answer["name"].get<std::string>().empty());

  EXPECT_NE(soma_run({"inspect", model}).out.find("hidden1"), std::string::npos);
  const Finished neuron = soma_run({"inspect", model, "--neuron", "hidden1:7", "--json"});
  EXPECT_EQ(neuron.json()[0]["weights"].size(), 784u);
  const Finished drawing = soma_run({"inspect", model, "--graph", folder_ / "net.svg", "--json"});
  EXPECT_EQ(drawing.code, 0) << drawing.err;
  EXPECT_EQ(drawing.json()[0]["parameters"], 784 * 128 + 128 + 128 * 10 + 10);
  EXPECT_EQ(content_of(folder_ / "net.svg").rfind("<svg", 0), 0u);
}

TEST_F(FashionMnist, GivesTheSameWeightsForAnyNumberOfThreads) {
  std::vector<std::string> digests;
  for (const std::string threads : {"1", "2", "4", "2"}) {
    const Finished run = soma_run(with(command(folder_ / "run", threads), {"--json"}));
    ASSERT_EQ(run.code, 0) << run.err;
    digests.push_back(run.json().back()["weights_sha256"]);
  }
  for (const auto& digest : digests) EXPECT_EQ(digest, digests[0]);
}

TEST_F(FashionMnist, PrintsPlainLinesIntoAPipe) {
  const Finished run = soma_run(command(folder_ / "run"));
  EXPECT_EQ(run.out.find('\x1b'), run.out.npos);
  EXPECT_EQ(run.out.find('\r'), run.out.npos);
  EXPECT_NE(run.out.find("epoch 3/3"), run.out.npos);
  EXPECT_NE(run.out.find("accuracy"), run.out.npos);
}

/// y = 3a - 2b + 1 with a text column left out by its class.
std::string price_table() {
  std::string text = "a,b,price\n";
  for (int i = 0; i < 200; ++i) {
    const int a = i * 37 % 101, b = i * 53 % 97;
    text += std::to_string(a) + "," + std::to_string(1000 + b) + "," +
            std::to_string(0.03 * a - 0.02 * b + 1) + "\n";
  }
  return text;
}

TEST(Tables, AreScaledInsideTheModel) {
  TemporaryFolder folder;
  const std::string table = folder.write("houses.csv", price_table());
  const Finished train = soma_run({"train", table, "--target", "price", "--net", "1", "--epochs",
                                   "200", "--lr", "0.01", "--out", folder / "run", "--json"});
  ASSERT_EQ(train.code, 0) << train.err;
  EXPECT_GT(done_of(train)["test_r2"], 0.99);
  // Raw rows in, the target's units out.
  const Finished run = soma_run({"predict", folder / "run/model.soma", "--json"}, "50,1050\n");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NEAR(run.json()[0]["outputs"][0], 0.03 * 50 - 0.02 * 50 + 1, 0.05);
}

TEST(Tables, AreJudgedByTheClassesOfAModelWithoutColumns) {
  TemporaryFolder folder;
  Network net{input({1}), dense(2).named("output")};
  for (int64_t k = 0; k < 2; ++k) {
    net.neuron("output", k).set_weight(0, k == 0 ? 1.0f : -1.0f);
    net.neuron("output", k).set_bias(0);
  }
  const std::string model = folder / "signs.soma";
  save(net, model, {.class_names = {"plus", "minus"}, .loss = "cross_entropy"});
  const std::string rows = folder.write("rows.csv", "x,sign\n-2,minus\n3,plus\n-1,minus\n");
  const Finished run = soma_run({"evaluate", model, rows, "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.json()[0]["accuracy"], 1);
  const std::string wrong = folder.write("wrong.csv", "x,sign\n-2,minos\n3,plus\n");
  const Finished refused = soma_run({"evaluate", model, wrong});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("did you mean \"minus\""), refused.err.npos) << refused.err;
}

/// 300 houses with a column of each kind: numbers with gaps, towns, yes and no, dates, a number of
/// the row, a column that never changes and a copy.
std::string house_table(bool with_target = true) {
  std::string text =
      cat("id;area;town;garden;built;currency;size", with_target ? ";price\n" : "\n");
  const char* towns[] = {"Ulm", "Bonn", "Köln, Süd"};
  for (int i = 0; i < 300; ++i) {
    const int area = 40 + i * 37 % 101, town = i * 7 % 3, year = 1950 + i * 11 % 60;
    const std::string known = i % 25 == 3 ? "NA" : std::to_string(area);
    text += cat(i + 1, ";", known, ";\"", towns[town], "\";", i % 4 ? "no" : "yes", ";", year,
                "-06-01;EUR;", known);
    const int price = 2000 * area + 50000 * town + 30000 * (i % 4 == 0) + 500 * (year - 1950);
    text += with_target ? cat(";", price, "\n") : "\n";
  }
  return text;
}

TEST(Tables, TrainPredictAndEvaluateFromRawRows) {
  TemporaryFolder folder;
  const std::string path = folder.write("houses.csv", house_table());
  const Finished train = soma_run({"train", path, "--target", "price", "--out", folder / "run",
                                   "--threads", "2", "--seed", "1", "--json"});
  ASSERT_EQ(train.code, 0) << train.err;
  const nlohmann::json linear = train.json().back();
  EXPECT_GT(done_of(train)["test_r2"], 0.9);
  EXPECT_EQ(linear["name"], "a linear model");
  EXPECT_GT(linear["test_r2"], 0.8);

  const std::string model = folder / "run/model.soma";
  const Finished evaluate = soma_run({"evaluate", model, path, "--json"});
  ASSERT_EQ(evaluate.code, 0) << evaluate.err;
  EXPECT_EQ(evaluate.json()[0]["rows"], 300);
  EXPECT_GT(evaluate.json()[0]["r2"], 0.9);
  EXPECT_EQ(soma_run({"evaluate", model, path, "--target", "area"}).code, 2);

  // With the target or without it, from a file or a pipe, in any order: the same answers.
  const Finished with = soma_run({"predict", model, path, "--json"});
  ASSERT_EQ(with.code, 0) << with.err;
  const std::string bare = folder.write("bare.csv", house_table(false));
  EXPECT_EQ(soma_run({"predict", model, bare, "--json"}).out, with.out);
  EXPECT_EQ(soma_run({"predict", model, "--json"}, house_table(false)).out, with.out);
  EXPECT_EQ(with.json().size(), 300u);
  const double price = with.json()[0]["outputs"][0];
  EXPECT_NEAR(price, 2000 * 40 + 30000, 30000);
  const Finished one =
      soma_run({"predict", model, "--json"}, "garden,built,area,town\nyes,1950-06-01,40,Ulm\n");
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_NEAR(one.json()[0]["outputs"][0], price, 1e-3 * price);

  const Finished unknown =
      soma_run({"predict", model}, "garden,built,area,town\nyes,,40,Rom\nno,,50,Ulm\n");
  ASSERT_EQ(unknown.code, 0) << unknown.err;
  EXPECT_EQ(unknown.lines().size(), 3u);
  EXPECT_NE(unknown.out.find("\"Rom\" in line 2"), unknown.out.npos) << unknown.out;
  const Finished wrong = soma_run({"predict", model}, "garden,built,area\nyes,,40\n");
  EXPECT_EQ(wrong.code, 1);
  EXPECT_NE(wrong.err.find("town"), wrong.err.npos) << wrong.err;
}

TEST(Tables, GiveTheSameModelForAnyNumberOfThreads) {
  TemporaryFolder folder;
  const std::string path = folder.write("houses.csv", house_table());
  std::vector<std::string> digests;
  for (const std::string threads : {"1", "3"}) {
    const Finished run =
        soma_run({"train", path, "--epochs", "3", "--threads", threads, "--seed", "4", "--json"});
    ASSERT_EQ(run.code, 0) << run.err;
    digests.push_back(done_of(run)["weights_sha256"]);
  }
  ASSERT_EQ(digests.size(), 2u);
  EXPECT_EQ(digests[0], digests[1]);
}

TEST(Tables, ShowTheirColumns) {
  TemporaryFolder folder;
  const std::string path = folder.write("houses.csv", house_table());
  const auto columns = soma_run({"data", path, "--json"}).json()[0]["columns"];
  ASSERT_EQ(columns.size(), 8u);
  EXPECT_EQ(columns[0]["note"], "numbers the rows");
  EXPECT_EQ(columns[1]["kind"], "number");
  EXPECT_EQ(columns[1]["missing"], 12);
  EXPECT_EQ(columns[2]["categories"].size(), 3u);
  EXPECT_EQ(columns[3]["kind"], "yes_no");
  EXPECT_EQ(columns[4]["kind"], "date");
  EXPECT_EQ(columns[5]["note"], "always EUR");
  EXPECT_EQ(columns[6]["use"], "dropped");
  EXPECT_EQ(columns[7]["use"], "target");
  const Finished shown =
      soma_run({"data", path, "--drop", "built", "--column", "id=number", "--target", "garden"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("2 categories: no 225, yes 75"), shown.out.npos) << shown.out;
}

TEST(Tables, OfNumbersOverTimeAreScaledToo) {
  const Finished run = soma_run({"train", "sunspots", "--net", "flatten, 32 relu, 12", "--epochs",
                                 "20", "--seed", "1", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_GT(done_of(run)["test_r2"], 0.6) << run.out;
  EXPECT_LT(done_of(run)["test_mae"], 30) << "in sunspots";
}

TEST(Tables, OfClassesAnswerWithNames) {
  TemporaryFolder folder;
  const Finished train = soma_run({"train", "iris", "--net", "8 tanh, 3", "--epochs", "60", "--lr",
                                   "0.01", "--seed", "3", "--out", folder / "run", "--json"});
  ASSERT_EQ(train.code, 0) << train.err;
  EXPECT_GT(done_of(train)["test_accuracy"], 0.85);
  const Finished run =
      soma_run({"predict", folder / "run/model.soma"}, "5.1,3.5,1.4,0.2\n6.3,3.3,6,2.5\n");
  ASSERT_EQ(run.lines().size(), 2u) << run.err;
  EXPECT_NE(run.lines()[0].find("setosa"), std::string::npos);
  EXPECT_NE(run.lines()[1].find("virginica"), std::string::npos);
}

TEST(Tables, WeighClassesAndRows) {
  // Whether a number is above another one, with much noise, one yes in ten rows.
  std::string table = "x,times,rare\n";
  for (int i = 0; i < 600; ++i) {
    const int noise = i * 7919 % 101;
    table += cat(noise + (i % 10 ? 0 : 60), ",", i % 10 ? 1 : 9, ",", i % 10 ? "no\n" : "yes\n");
  }
  TemporaryFolder folder;
  const std::string path = folder.write("rare.csv", table);
  const auto recall = [&](std::initializer_list<std::string> more) {
    const std::vector<std::string> command = {"train", path,    "--net",        "classes", "--seed",
                                              "1",     "--out", folder / "run", "--json"};
    const Finished train = soma_run(with(command, more));
    EXPECT_EQ(train.code, 0) << train.err;
    const Finished run =
        soma_run({"evaluate", folder / "run/model.soma", path, "--metrics", "recall", "--json"});
    EXPECT_EQ(run.code, 0) << run.err;
    return run.json().at(0)["recall"].get<double>();
  };
  const double plain = recall({"--drop", "times"});
  EXPECT_GT(recall({"--drop", "times", "--balanced"}), plain + 0.1);
  EXPECT_GT(recall({"--weight", "times"}), plain + 0.1);
  EXPECT_EQ(soma_run({"train", path, "--balanced", "--loss", "hinge"}).code, 2);
}

TEST(Output, ReplacesAnOlderRunAsAWhole) {
  TemporaryFolder folder;
  const std::vector<std::string> command = {"train", "iris",  "--epochs",
                                            "2",     "--out", folder / "run"};
  ASSERT_EQ(soma_run(command).code, 0);
  const std::string before = content_of(folder / "run/model.soma");
  ASSERT_EQ(soma_run(with(command, {"--seed", "9"})).code, 0);
  EXPECT_NE(content_of(folder / "run/model.soma"), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "run"), {}), 6);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "run/checkpoints"), {}), 1);
}

TEST(Output, OfAFullDiskIsASentence) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP();
  const Finished run = Program({"data"}, "", "/dev/full").wait();
  EXPECT_EQ(run.code, 1);
  EXPECT_NE(run.err.find("No space left"), run.err.npos) << run.err;
}

TEST(Output, ToAReaderThatLeftIsNoError) {
  const std::string command =
      std::string(SOMA_PROGRAM) + " activations 2>&1 | head -1; exit ${PIPESTATUS[0]}";
  EXPECT_EQ(std::system(("bash -c '" + command + "' > /dev/null").c_str()), 0);
}

TEST(List, ShowsEveryRegistryAndExplainsRows) {
  const auto kinds = soma_run({"list", "--json"}).json()[0]["kinds"];
  for (const char* kind :
       {"layers", "activations", "losses", "optimizers", "schedules", "initializers",
        "regularizers", "augmentations", "tokenizers", "metrics"}) {
    EXPECT_GT(kinds[kind], 3) << kind;
    const auto rows = soma_run({"list", kind, "--json"}).json()[0]["rows"];
    EXPECT_EQ(rows.size(), kinds[kind]) << kind;
    const std::string name = rows[0]["name"];
    EXPECT_NE(soma_run({"list", kind, name}).out.find(name), std::string::npos);
  }
  const Finished lstm = soma_run({"list", "layers", "lstm"});
  EXPECT_NE(lstm.out.find("forget_bias=1"), lstm.out.npos);
  EXPECT_NE(lstm.out.find("Hochreiter"), lstm.out.npos);
  EXPECT_EQ(soma_run({"list", "layres"}).code, 2);
  EXPECT_NE(soma_run({"list", "layers", "lsmt"}).err.find("lstm"), std::string::npos);
}

TEST(Architectures, AreTrainedUsedAndShownFromTheShell) {
  TemporaryFolder folder;
  const std::string text =
      "reshape 4x1          # four steps of one number\n"
      "bidirectional [gru 5]\n"
      "residual [8 tanh, batch_norm, dropout 0.1, 10]\n\n"
      "3\n";
  folder.write("net.txt", text);
  const Finished train = soma_run({"train", "iris", "--net", "@" + (folder / "net.txt"), "--epochs",
                                   "30", "--lr", "0.01", "--seed", "1", "--out", folder / "run"});
  ASSERT_EQ(train.code, 0) << train.err;
  const std::string model = folder / "run/model.soma";
  EXPECT_GT(soma_run({"evaluate", model, "iris", "--json"}).json()[0]["accuracy"], 0.8);
  EXPECT_EQ(soma_run({"predict", model}, "5.1,3.5,1.4,0.2\n").code, 0);
  const Finished layers = soma_run({"inspect", model, "--graph", folder / "net.svg"});
  for (const char* part : {"bidirectional", "residual", "reshape", "FLOPs"}) {
    EXPECT_NE(layers.out.find(part), layers.out.npos) << layers.out;
  }
  EXPECT_NE(content_of(folder / "net.svg").find("bidirectional"), std::string::npos);
  const Finished missing = soma_run({"train", "iris", "--net", "@" + (folder / "none.txt")});
  EXPECT_NE(missing.code, 0);
  EXPECT_NE(missing.err.find("none.txt"), missing.err.npos);
  const Finished wrong = soma_run({"train", "iris", "--net", "residual [8 tnah, 4], 3"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("tanh"), wrong.err.npos) << wrong.err;
}

TEST(Inspect, ShowsThePlan) {
  TemporaryFolder folder;
  const Finished train =
      soma_run({"train", "iris", "--net", "8 tanh, 3", "--epochs", "1", "--out", folder / "run"});
  ASSERT_EQ(train.code, 0) << train.err;
  const std::string model = folder / "run/model.soma";
  const Finished text = soma_run({"inspect", model, "--plan", "--training", "sgd(0.1)"});
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* part : {"GFLOP/s", "hidden1/weights", "The arena", "simplify"}) {
    EXPECT_NE(text.out.find(part), text.out.npos) << part << "\n" << text.out;
  }
  const Finished run = soma_run({"inspect", model, "--plan", "--batch", "32", "--threads", "1",
                                 "--memory", folder / "map.svg", "--json"});
  const auto json = run.json().at(0);
  EXPECT_EQ(json["event"], "plan");
  EXPECT_GE(json["instructions"].size(), 3u);  // the table's and two layers'
  EXPECT_GT(json["instructions"][0]["seconds"], 0);
  EXPECT_NE(content_of(folder / "map.svg").find("</svg>"), std::string::npos);
}

TEST(Activations, AreListedAndPlotted) {
  TemporaryFolder folder;
  const Finished list = soma_run({"activations", "--json"});
  EXPECT_GE(list.json()[0]["activations"].size(), 66u);
  const Finished plot = soma_run({"activations", "--only", "gelu", "--plot", folder / "gelu.svg"});
  EXPECT_EQ(plot.code, 0) << plot.err;
  EXPECT_NE(content_of(folder / "gelu.svg").find("gelu"), std::string::npos);
}

TEST(Gradcheck, PassesAndSaysSo) {
  const Finished run = soma_run({"gradcheck", "losses", "--json"});
  ASSERT_EQ(run.code, 0) << run.err << run.out;
  EXPECT_EQ(run.json().back()["failed"], 0);
}

std::vector<std::string> workload_names() {
  std::vector<std::string> names;
  for (const auto& object : soma_run({"bench", "--list", "--json"}).json()) {
    names.push_back(object["workload"]);
  }
  return names;
}

TEST(Bench, MeasuresEveryWorkload) {
  auto names = workload_names();
  EXPECT_GE(names.size(), 20u);
  std::vector<std::string> command = {"bench", "--seconds", "0", "--threads", "2", "--json"};
#ifdef SOMA_SANITIZED  // Minutes there, and other tests run the same kernels under it.
  std::erase_if(names, [](const std::string& name) { return name != "mlp-32"; });
  command.insert(command.begin() + 1, "mlp-32");
#endif
  const Finished run = soma_run(command);
  ASSERT_EQ(run.code, 0) << run.err;
  const auto objects = run.json();
  ASSERT_EQ(objects.size(), names.size() + 1);
  EXPECT_EQ(objects[0]["event"], "machine");
  EXPECT_EQ(objects[0]["threads"], 2);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto& object = objects[i + 1];
    EXPECT_EQ(object["workload"], names[i]);
    EXPECT_GT(object["median_seconds"], 0) << names[i];
    EXPECT_LE(object["least_seconds"], object["median_seconds"]) << names[i];
    EXPECT_GE(object["steps"], 5) << names[i];
    EXPECT_EQ(object["gflops"] > 0, names[i] != "start-up") << names[i];
    if (!object.contains("loss")) continue;
    EXPECT_GT(object["arena_bytes"], 0) << names[i];
    EXPECT_GT(object["samples_per_second"], 0) << names[i];
    // Some networks need more than these few steps before they show that they learn.
    if (names[i].starts_with("mlp-")) {
      EXPECT_LT(object["loss"], object["first_loss"]);
    }
  }
}

TEST(Bench, ListsInstructionsOfAStep) {
  const Finished run = soma_run({"bench", "mlp-32", "--seconds", "0", "--plan", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.json().at(1)["plan"].get<std::string>().find("dot [32, 128]"), std::string::npos);
}

TEST(Bench, MultipliesInBf16) {
  const Finished run =
      soma_run({"bench", "mlp-32", "--precision", "bf16", "--seconds", "0", "--plan", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.json().at(0)["precision"], "bf16");
  EXPECT_LT(run.json().at(1)["loss"], run.json().at(1)["first_loss"]);
  EXPECT_NE(run.json().at(1)["plan"].get<std::string>().find("products in bf16"),
            std::string::npos);
}

TEST(Bench, TakesAllWorkloadsOfAKind) {
  const Finished run = soma_run({"bench", "mlp", "--list", "--json"});
  for (const auto& object : run.json()) {
    EXPECT_EQ(object["workload"].get<std::string>().substr(0, 4), "mlp-");
  }
  EXPECT_GE(run.json().size(), 4u);
  const Finished wrong = soma_run({"bench", "mlb-32"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("did you mean \"mlp-32\""), std::string::npos) << wrong.err;
}

TEST(Data, ListsAndDescribes) {
  const Finished list = soma_run({"data", "--json"});
  EXPECT_GE(list.json()[0]["data_sets"].size(), 3u);
  const Finished iris = soma_run({"data", "iris", "--json"});
  EXPECT_EQ(iris.json()[0]["rows"], 150);
  EXPECT_EQ(iris.json()[0]["classes"].size(), 3u);
  EXPECT_NE(soma_run({"data", "iris"}).out.find("setosa"), std::string::npos);
}

}  // namespace
}  // namespace soma
