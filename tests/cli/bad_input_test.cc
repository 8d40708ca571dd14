// Everything a person can get wrong on the command line: each case ends with the right exit code,
// one sentence on standard error, and no file that was not there before.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "tests/cli/program.h"

namespace soma {
namespace {

struct Case {
  std::string name;
  std::vector<std::string> arguments;  // {folder} stands for a folder with the files made below
  int code;
  std::vector<std::string> facts;  // parts of the sentence
  std::string input = "";
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const std::string table = "{folder}/table.csv", model = "{folder}/model.soma";

// clang-format off
const std::vector<Case> cases = {
    // -- commands and flags
    {"no command", {}, 2, {"a command is missing"}},
    {"unknown command", {"trian"}, 2, {"no command \"trian\"", "train"}},
    {"unknown command far from all", {"zzzzzzzz"}, 2, {"no command", "--help"}},
    {"unknown option", {"train", "iris", "--epoch", "3"}, 2, {"no option \"--epoch\"", "--epochs"}},
    {"unknown option with a value", {"train", "iris", "--bacth=3"}, 2, {"\"--bacth\"", "--batch"}},
    {"unknown short option", {"train", "iris", "-x"}, 2, {"no option \"-x\""}},
    {"option without its value", {"train", "iris", "--epochs"}, 2, {"--epochs"}},
    {"option given twice", {"train", "iris", "--epochs", "1", "--epochs", "2"}, 2, {"--epochs"}},
    {"argument too many", {"version", "please"}, 2, {"does not take the argument \"please\""}},
    {"no data", {"train"}, 2, {"needs data"}},
    {"no model", {"evaluate"}, 2, {"needs model"}},
    {"no model for predict", {"predict"}, 2, {"needs model"}},
    {"no model for inspect", {"inspect"}, 2, {"needs model"}},
    {"help for an unknown command", {"help", "evalute"}, 2, {"evaluate"}},
    // -- values of options
    {"epochs in letters", {"train", "iris", "--epochs", "many"}, 2, {"--epochs", "whole number", "\"many\""}},
    {"no epochs", {"train", "iris", "--epochs", "0"}, 2, {"--epochs", "\"0\""}},
    {"half an epoch", {"train", "iris", "--epochs", "0.5"}, 2, {"--epochs", "\"0.5\""}},
    {"epochs beyond all bounds", {"train", "iris", "--epochs", "99999999999999999999"}, 2, {"--epochs"}},
    {"empty batch", {"train", "iris", "--batch", "0"}, 2, {"--batch"}},
    {"negative threads", {"train", "iris", "--threads", "-2"}, 2, {"--threads", "\"-2\""}},
    {"a precision there is not", {"train", "iris", "--precision", "fp8"}, 2, {"--precision is fp32 or bf16", "\"fp8\""}},
    {"negative seed", {"train", "iris", "--seed", "-1"}, 2, {"--seed"}},
    {"learning rate in letters", {"train", "iris", "--lr", "fast"}, 2, {"--lr", "\"fast\""}},
    {"learning rate not a number", {"train", "iris", "--lr", "nan"}, 2, {"--lr"}},
    {"negative learning rate", {"train", "iris", "--lr", "-1"}, 2, {"--lr"}},
    {"validation of everything", {"train", "iris", "--validation", "1"}, 2, {"--validation"}},
    {"unknown optimizer", {"train", "iris", "--optimizer", "adamm"}, 2, {"--optimizer", "adamm", "adam"}},
    {"optimizer with a bad argument", {"train", "iris", "--optimizer", "sgd(momemtum=0.9)"}, 2, {"momemtum"}},
    {"unknown loss", {"train", "iris", "--loss", "cross_entropi"}, 2, {"--loss", "cross_entropy"}},
    {"unknown schedule", {"train", "iris", "--schedule", "cosinus"}, 2, {"--schedule", "cosine"}},
    {"unknown initializer", {"train", "iris", "--init", "glorot_unifrom"}, 2, {"glorot_uniform"}},
    {"unknown activation", {"train", "iris", "--net", "8 rellu, 3"}, 2, {"--net", "relu"}},
    {"layer without neurons", {"train", "iris", "--net", "0 relu, 3"}, 2, {"--net"}},
    {"negative layer", {"train", "iris", "--net", "-5 relu, 3"}, 2, {"--net"}},
    {"layer that cannot be read", {"train", "iris", "--net", "8 relu,,3"}, 2, {"--net"}},
    {"block whose shapes differ", {"train", "iris", "--net", "residual [8 tanh], 3"}, 2, {"residual1", "shortcut"}},
    {"recurrent layer without time", {"train", "iris", "--net", "bidirectional [8], 3"}, 2, {"hidden1", "recurrent"}},
    {"heads that do not divide", {"train", "iris", "--net", "reshape 2x2, decoder 3, 3"}, 2, {"decoder1", "heads"}},
    {"bracket that stays open", {"train", "iris", "--net", "residual [4 tanh, 3"}, 2, {"]"}},
    {"shared with nobody", {"train", "iris", "--net", "8 share=nope, 3"}, 2, {"nope"}},
    {"layer from nowhere", {"train", "iris", "--net", "8 relu, 3 from=hiden1"}, 2, {"hiden1"}},
    {"layer linked to itself", {"train", "iris", "--net", "8 relu name=h from=h, 3"}, 2, {"h"}},
    {"absurdly wide layer", {"train", "iris", "--net", "99999999999 relu, 3"}, 2, {"--net"}},
    // -- data
    {"unknown data set", {"train", "fashon-mnist"}, 2, {"fashon-mnist", "fashion-mnist"}},
    {"missing table", {"train", "{folder}/none.csv"}, 1, {"none.csv"}},
    {"missing images", {"train", "{folder}/none.idx", "--labels", "{folder}/none.idx"}, 1, {"none.idx"}},
    {"images without labels", {"train", "{folder}/noise"}, 2, {"--labels"}},
    {"missing folder of a named data set", {"train", "fashion-mnist", "--data-folder", "{folder}/none"}, 1, {"none"}},
    {"folder instead of a file", {"train", "{folder}", "--labels", "{folder}"}, 1, {"{folder}"}},
    {"not an IDX file", {"train", "{folder}/noise", "--labels", "{folder}/noise"}, 1, {"noise"}},
    {"empty table", {"train", "{folder}/empty.csv"}, 1, {"empty.csv"}},
    {"table without rows", {"train", "{folder}/header.csv"}, 1, {"header.csv"}},
    {"ragged table", {"train", "{folder}/ragged.csv"}, 1, {"ragged.csv", "3"}},
    {"text in a column of numbers", {"train", "{folder}/words.csv"}, 1, {"words.csv", "hello"}},
    {"unknown target column", {"train", table, "--target", "prize"}, 1, {"prize", "price"}},
    {"task that is none", {"train", table, "--task", "ranking"}, 2, {"--task", "ranking", "regression"}},
    {"two classes asked for", {"train", table, "--task", "binary", "--target", "a"}, 2, {"binary", "40"}},
    {"column without a kind", {"train", table, "--column", "a"}, 2, {"--column", "NAME=KIND"}},
    {"column of no kind", {"train", table, "--column", "a=colour"}, 1, {"colour", "category"}},
    {"column that is not there", {"train", table, "--column", "aa=category"}, 1, {"aa", "table.csv"}},
    {"dropped column that is not there", {"train", table, "--drop", "prise"}, 1, {"prise", "price"}},
    {"dropped target", {"train", table, "--drop", "price"}, 1, {"price", "dropped"}},
    {"delimiter of two characters", {"train", table, "--delimiter", "ab"}, 2, {"--delimiter", "ab"}},
    {"delimiter that is not there", {"train", table, "--delimiter", "|"}, 1, {"table.csv", "no column as input"}},
    {"header neither there nor not", {"data", table, "--header", "maybe"}, 2, {"--header", "maybe"}},
    {"weights that are text", {"train", "{folder}/people.csv", "--weight", "name"}, 1, {"people.csv", "name"}},
    {"column of text", {"train", "{folder}/people.csv"}, 1, {"people.csv", "line 2", "\"name\" holds text", "--drop"}},
    {"target of text", {"train", "{folder}/people.csv", "--target", "name"}, 1, {"name", "holds text"}},
    {"wrong number of outputs", {"train", "iris", "--net", "8 relu, 2"}, 1, {"2", "3"}},
    {"input that does not fit", {"train", "iris", "--net", "input 7, 8 relu, 3"}, 2, {"7", "4"}},
    {"one output for three classes", {"train", "iris", "--net", "8 relu, 1", "--loss", "hinge"}, 1, {"3 classes", "1 neuron"}},
    {"softmax before cross-entropy", {"train", "iris", "--net", "8 relu, 3, softmax"}, 1, {"softmax"}},
    {"classes loss on numbers", {"train", table, "--loss", "cross_entropy"}, 1, {"cross_entropy"}},
    {"training that diverges", {"train", table, "--optimizer", "sgd", "--lr", "1000000", "--quiet"}, 1, {"diverged", "epoch", "step"}},
    // -- output
    {"output below a file", {"train", "iris", "--epochs", "1", "--out", "{folder}/noise/run"}, 1, {"noise"}},
    {"output is a file", {"train", "iris", "--epochs", "1", "--out", "{folder}/noise"}, 1, {"noise"}},
    // -- models
    {"missing model", {"evaluate", "{folder}/none.soma", "iris"}, 1, {"none.soma"}},
    {"model that is noise", {"evaluate", "{folder}/noise", "iris"}, 1, {"noise"}},
    {"empty model", {"inspect", "{folder}/empty.csv"}, 1, {"empty.csv"}},
    {"truncated model", {"inspect", "{folder}/short.soma"}, 1, {"short.soma"}},
    {"model with damaged weights", {"inspect", "{folder}/damaged.soma"}, 1, {"damaged.soma"}},
    {"data of another shape", {"evaluate", model, "xor"}, 1, {"2", "4"}},
    {"unknown metric", {"evaluate", model, "iris", "--metrics", "acuracy"}, 1, {"acuracy", "accuracy"}},
    {"metric for numbers", {"evaluate", model, "iris", "--metrics", "r2"}, 1, {"r2", "classes"}},
    {"unknown layer", {"inspect", model, "--neuron", "hiden1:0"}, 1, {"hiden1", "hidden1"}},
    {"neuron that does not exist", {"inspect", model, "--neuron", "hidden1:99"}, 1, {"99"}},
    {"neuron without a number", {"inspect", model, "--neuron", "hidden1"}, 2, {"--neuron"}},
    {"neuron with a bad number", {"inspect", model, "--neuron", "hidden1:x"}, 2, {"--neuron"}},
    {"drawing of an unknown kind", {"inspect", model, "--graph", "{folder}/net.png"}, 2, {".svg", "net.png"}},
    {"training without a plan", {"inspect", model, "--training", "sgd"}, 2, {"--plan"}},
    {"plan with an unknown optimizer", {"inspect", model, "--plan", "--training", "sdg"}, 1, {"sdg", "sgd"}},
    {"memory map of an unknown kind", {"inspect", model, "--plan", "--memory", "{folder}/map.dot"}, 2, {".svg"}},
    {"drawing into nowhere", {"inspect", model, "--graph", "{folder}/none/net.svg"}, 1, {"net.svg"}},
    // -- rows to predict
    {"no row", {"predict", model}, 1, {"no row"}, ""},
    {"row too short", {"predict", model}, 1, {"line 1", "3 cells", "a row has 4"}, "1 2 3\n"},
    {"row too long", {"predict", model}, 1, {"line 2", "5 cells"}, "1 2 3 4\n1 2 3 4 5\n"},
    {"row in words", {"predict", model}, 1, {"line 1", "\"two\""}, "1 two 3 4\n"},
    {"row with infinity", {"predict", model}, 1, {"line 1", "inf"}, "1 inf 3 4\n"},
    {"missing rows", {"predict", model, "{folder}/none.csv"}, 1, {"none.csv"}},
    {"rows of another width", {"predict", model, table}, 1, {"table.csv", "3 cells", "a row has 4"}},
    // -- the other commands
    {"unknown activation to plot", {"activations", "--only", "swsh", "--plot", "{folder}/f.svg"}, 2, {"swsh"}},
    {"plot into nowhere", {"activations", "--plot", "{folder}/none/f.svg"}, 1, {"f.svg"}},
    {"plot of an unknown kind", {"activations", "--plot", "{folder}/f.pdf"}, 2, {"f.pdf", ".svg"}},
    {"unknown group to check", {"gradcheck", "losess"}, 2, {"losess", "losses"}},
    {"unknown benchmark", {"bench", "gem"}, 2, {"gem", "gemm"}},
    {"unknown data set to describe", {"data", "irs"}, 2, {"irs", "iris"}},
};
// clang-format on

class BadInput : public testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    folder_->write("noise", std::string("\x13\x37 this is no data\0\xff", 20));
    folder_->write("empty.csv", "");
    folder_->write("header.csv", "a,b,price\n");
    folder_->write("ragged.csv", "a,b,price\n1,2,3\n4,5\n6,7,8\n");
    folder_->write("words.csv", "a,b,price\n1,2,3\n4,hello,6\n");
    std::string rows = "a,b,price\n";
    for (int i = 0; i < 40; ++i) {
      rows +=
          std::to_string(i) + "," + std::to_string(i % 7) + "," + std::to_string(i * 0.37) + "\n";
    }
    std::string people = "name,age,height\n";
    for (int i = 0; i < 50; ++i) {
      people += "person " + std::to_string(i) + "," + std::to_string(i % 9) + "," +
                std::to_string(150 + i * 0.5) + "\n";
    }
    folder_->write("people.csv", people);
    folder_->write("table.csv", rows);
    const Finished made = soma_run({"train", "iris", "--net", "5 tanh, 3", "--epochs", "1",
                                    "--threads", "1", "--out", folder_->path() + "/made"});
    ASSERT_EQ(made.code, 0) << made.err;
    std::string bytes = content_of(*folder_ / "made/model.soma");
    folder_->write("model.soma", bytes);
    folder_->write("short.soma", bytes.substr(0, bytes.size() - 7));
    bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 0x40);
    folder_->write("damaged.soma", bytes);
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string filled(std::string text) {
    const size_t at = text.find("{folder}");
    return at == text.npos ? text : text.replace(at, 8, folder_->path());
  }

  inline static TemporaryFolder* folder_ = nullptr;
};

TEST_P(BadInput, GivesASentenceAndLeavesNothing) {
  const Case& c = GetParam();
  std::vector<std::string> arguments;
  for (const auto& argument : c.arguments) arguments.push_back(filled(argument));
  const size_t files = folder_->entries();
  const Finished run = soma_run(arguments, c.input);
  EXPECT_EQ(run.code, c.code) << run.err << run.out;
  EXPECT_EQ(run.err.rfind("soma: ", 0), 0u) << run.err;
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  for (const auto& fact : c.facts) {
    EXPECT_NE(run.err.find(filled(fact)), std::string::npos)
        << "lacks \"" << filled(fact) << "\":\n"
        << run.err;
  }
  EXPECT_EQ(run.err.find(".cc:"), std::string::npos) << "a place in Soma's source: " << run.err;
  EXPECT_EQ(folder_->entries(), files) << "a file was left behind";
}

TEST_P(BadInput, SaysTheSameAsJson) {
  const Case& c = GetParam();
  if (c.arguments.empty()) return;
  std::vector<std::string> arguments;
  for (const auto& argument : c.arguments) arguments.push_back(filled(argument));
  arguments.push_back("--json");
  const Finished run = soma_run(arguments, c.input);
  EXPECT_EQ(run.code, c.code) << run.err;
  const auto objects = run.json();
  ASSERT_FALSE(objects.empty());
  EXPECT_EQ(objects.back()["event"], "error");
  EXPECT_EQ("soma: " + objects.back()["message"].get<std::string>() + "\n", run.err);
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Cases, BadInput, testing::ValuesIn(cases), case_name);

}  // namespace
}  // namespace soma
