// Everything that can be wrong with the files people give: one sentence that names the file, and
// the line and column where there are such, the right exit code, and no file that was not there
// before.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "tests/cli/program.h"

namespace soma {
namespace {

enum class As { table, series, text, lines, pixels, image, configuration, rows };

struct BadFile {
  std::string name;
  As as;
  std::string content;
  std::vector<std::string> facts;  // parts of the sentence, besides the file
  std::vector<std::string> options = {};
};
void PrintTo(const BadFile& c, std::ostream* out) { *out << c.name; }

std::string bytes(std::string_view text) { return std::string(text); }
/// "v,load" and so many steps.
std::string steps(int count, const std::string& then = "") {
  std::string text = "v,load\n";
  for (int i = 0; i < count; ++i)
    text += std::to_string(i % 7) + "," + std::to_string(i % 5) + ".5\n";
  return text + then;
}
/// An IDX file of bytes: its extents, then so many zeros.
std::string idx(const std::vector<unsigned char>& extents, int zeros) {
  std::string text("\0\0\x08", 3);
  text += static_cast<char>(extents.size());
  for (const unsigned char extent : extents)
    text += std::string("\0\0\0", 3) + static_cast<char>(extent);
  return text + std::string(static_cast<size_t>(zeros), '\0');
}

// clang-format off
const std::vector<BadFile> bad_files = {
    // -- tables
    {"empty table", As::table, "", {"is empty"}},
    {"table of blank lines", As::table, "\n\r\n\n", {"is empty"}},
    {"only a byte order mark", As::table, "\xEF\xBB\xBF", {"is empty"}},
    {"only a header", As::table, "a,b\n", {"header", "no line of values"}},
    {"short row", As::table, "a,b,c\n1,2,3\n4,5\n6,7,8\n", {"line 3", "2 cells", "3"}},
    {"long row", As::table, "a,b\n1,2\n3,4,5\n", {"line 3", "3 cells"}},
    {"short last row", As::table, "a,b\n1,2\n3", {"line 3", "1 cell,"}},
    {"text among numbers", As::table, "a,b\n1,2\n2,3\nred,4\n", {"line 4", "column \"a\"", "\"red\" is not a number"}},
    {"unit behind a number", As::table, "a,b\n1,2\n2,3\n12px,4\n", {"line 4", "column \"a\"", "12px"}},
    {"hexadecimal number", As::table, "a,b\n1,2\n7,8\n0x1F,4\n", {"line 4", "0x1F"}},
    {"two points in a number", As::table, "a,b\n1,2\n7,8\n1.2.3,4\n", {"line 4", "1.2.3"}},
    {"number with a blank inside", As::table, "a;b\n7;8\n9;8\n1 000;4\n", {"line 4", "1 000"}},
    {"comma for a point", As::table, "a;b\n1;2\n3;3\n1,5;3\n", {"line 4", "column \"a\"", "--decimal"}},
    {"infinity", As::table, "a,b\n1,2\n3,4\ninf,2\n", {"line 4", "column \"a\"", "not finite"}},
    {"beyond doubles", As::table, "a,b\n1e999,2\n1,3\n4,5\n", {"line 2", "column \"a\"", "too large"}},
    {"beyond floats", As::table, "a,b\n1,2\n1e39,3\n4,5\n", {"line 3", "column \"a\"", "32-bit"}},
    {"quote that stays open", As::table, "a,b\n1,2\n\"3,4\n5,6\n", {"line 3", "never ends"}},
    {"text behind a quote", As::table, "a,b\n1,2\n\"1\"2,3\n", {"line 3", "follows the closing"}},
    {"quote open in the header", As::table, "\"a,b\n1,2\n", {"line 1", "never ends"}},
    {"blank line in the middle", As::table, "a,b\n1,2\n\n3,4\n", {"line 3", "empty"}},
    {"two columns of one name", As::table, "a,b,a\n1,2,3\n", {"line 1", "\"a\""}},
    {"one column", As::table, "a\n1\n2\n3\n", {"no column as input"}},
    {"columns that never change", As::table, "a,b\n1,2\n1,3\n1,4\n", {"no column as input", "always 1"}},
    {"column that tells the target", As::table, "a,b\n1.5,1.5\n2.5,2.5\n", {"equal to column \"b\""}},
    {"target always missing", As::table, "a,b\n1,\n2,NA\n", {"column \"b\"", "missing in every line"}},
    {"target without a number", As::table, "a,b\n1,2.5\n2,3.5\n3,x\n", {"line 4", "column \"b\"", "\"x\""}},
    {"no dates", As::table, "a,b\n2020-01-01,1\n2020-13-01,2\n", {"line 3", "column \"a\"", "no dates of one format", "2020-13-01"}, {"--column", "a=date"}},
    {"date that no calendar has", As::table, "a,b\n2021-02-28,1\n2021-02-29,2\n", {"column \"a\"", "no dates of one format"}, {"--column", "a=date(y-m-d)"}},
    {"header where numbers are expected", As::table, "a,b\n1,2\n3,4\n", {"line 1", "column 0", "\"a\""}, {"--header", "no"}},
    {"negative weight", As::table, "a,w,b\n1,1,2.5\n2,-1,3.5\n3,1,4.5\n", {"line 3", "column \"w\"", "-1"}, {"--weight", "w"}},
    {"zero byte in a number", As::table, bytes({"a,b\n1,2\n3,4\n5\0,6\n", 17}), {"line 4", "column \"a\""}},
    {"damaged gzip", As::table, "\x1f\x8b\x08 nothing that could be unpacked", {}},
    {"gzip that is cut off", As::table, "\x1f\x8b", {}},
    // -- series
    {"empty series", As::series, "", {"is empty"}},
    {"series with a gap", As::series, steps(40, "3,\n4,2\n"), {"column \"load\"", "step 41"}},
    {"series that is too short", As::series, steps(3), {"3 steps"}},
    {"word in a series", As::series, steps(40, "3,4\nx,2\n"), {"line 43", "column \"v\"", "\"x\""}},
    {"short row of a series", As::series, steps(40, "3\n"), {"line 42", "1 cell,"}},
    // -- texts
    {"empty text", As::text, "", {"is empty"}},
    {"lines without a class", As::lines, "text\tkind\nhello\tgood\nbye\t\n", {}},
    {"lines of one class", As::lines, "text\tkind\nhello\tgood\nbye\tgood\n", {}},
    {"short line of texts", As::lines, "text\tkind\nhello\tgood\nbye\nso\tbad\n", {"line 3"}},
    {"lines without the column", As::lines, "words\tkind\nhello\tgood\nbye\tbad\n", {"\"text\""}},
    // -- IDX
    {"empty IDX", As::pixels, "", {}},
    {"IDX of another magic", As::pixels, bytes({"\1\2\3\4 what else?", 16}), {}},
    {"IDX cut off in its head", As::pixels, bytes({"\0\0\x08\x03\0\0", 6}), {}},
    {"IDX of fewer bytes than it says", As::pixels, idx({4, 2, 2}, 15), {}},
    {"IDX of more bytes than it says", As::pixels, idx({4, 2, 2}, 17), {}},
    {"IDX of an unknown type", As::pixels, bytes({"\0\0\x07\x01\0\0\0\x01x", 9}), {}},
    {"IDX without extents", As::pixels, bytes({"\0\0\x08\0", 4}), {}},
    {"IDX that asks for the world", As::pixels, bytes({"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16}), {}},
#ifdef SOMA_IMAGES
    // -- images
    {"empty image", As::image, "", {}},
    {"image that is text", As::image, "no image at all", {}},
    {"PNG cut off", As::image, bytes({"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", 18}), {}},
    {"JPEG cut off", As::image, "\xff\xd8\xff\xe0 and so on", {}},
    {"GIF named PNG", As::image, "GIF89a\1\1\1\1", {}},
    {"PNG of absurd extents", As::image, bytes({"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\2\0\0\0\x9a\xc1\xe2\x4d", 33}), {}},
#endif
    // -- configurations
    {"no TOML", As::configuration, "epochs 3\n", {"line 1", "column"}},
    {"text that stays open", As::configuration, "epochs = 3\nnet = \"8 relu, 3\n", {"line 2", "column"}},
    {"bracket that stays open", As::configuration, "drop = [\"a\"\nepochs = 3\n", {"line 2", "column"}},
    {"setting without a value", As::configuration, "epochs =\n", {"line 1", "column"}},
    {"setting given twice", As::configuration, "epochs = 3\nepochs = 4\n", {"line 2", "column", "epochs"}},
    {"unknown setting", As::configuration, "seed = 1\nepoch = 3\n", {"line 2", "column 1", "\"epoch\"", "\"epochs\""}},
    {"unknown table of settings", As::configuration, "[training]\nepochs = 3\n", {"line 1", "\"training\""}},
    {"text for a number", As::configuration, "seed = 1\nepochs = \"many\"\n", {"line 2", "epochs", "whole number"}},
    {"fraction for a whole number", As::configuration, "batch = 2.5\n", {"line 1", "batch", "whole number"}},
    {"number out of bounds", As::configuration, "epochs = 0\n", {"line 1", "epochs"}},
    {"number beyond 64 bits", As::configuration, "epochs = 99999999999999999999\n", {"line 1", "column"}},
    {"number for yes or no", As::configuration, "balanced = 1\n", {"line 1", "balanced", "true or false"}},
    {"text for a list", As::configuration, "drop = \"a\"\n", {"line 1", "drop", "list"}},
    {"list in a list", As::configuration, "drop = [[\"a\"]]\n", {"line 1", "drop"}},
    {"date for a number", As::configuration, "lr = 2020-01-01\n", {"line 1", "lr"}},
    {"rate that is not finite", As::configuration, "lr = nan\n", {"line 1", "lr"}},
    {"bytes that are no UTF-8", As::configuration, "net = \"\xff\xfe\"\n", {"line 1"}},
    {"setting of another file", As::configuration, "config = \"more.toml\"\n", {"line 1", "\"config\""}},
    // -- rows to predict
    {"row to predict of another width", As::rows, "1,2,3,4\n1,2,3\n", {"line 2", "3 cells"}},
    {"row to predict in words", As::rows, "1,2,3,4\n1,two,3,4\n", {"line 2", "\"two\""}},
    {"row to predict with infinity", As::rows, "1,2,-inf,4\n", {"line 1", "not finite"}},
    {"row to predict with an open quote", As::rows, "1,2,3,4\n\"1,2,3,4\n", {"line 2", "never ends"}},
};
// clang-format on

class BadFiles : public testing::TestWithParam<BadFile> {
 protected:
  static void SetUpTestSuite() {
    made_ = new TemporaryFolder;
    ASSERT_EQ(
        soma_run({"train", "iris", "--net", "3", "--epochs", "1", "--out", *made_ / "run"}).code,
        0);
  }
  static void TearDownTestSuite() { delete made_; }
  inline static TemporaryFolder* made_ = nullptr;
};

TEST_P(BadFiles, GiveASentenceAndLeaveNothing) {
  const BadFile& c = GetParam();
  const TemporaryFolder folder;
  const std::string out = folder / "out";
  const auto file = [&](const std::string& name) { return folder.write(name, c.content); };
  std::string path;
  std::vector<std::string> arguments{"train"};
  const auto give = [&](const std::string& name, const std::vector<std::string>& options) {
    path = file(name);
    arguments.push_back(path);
    arguments.insert(arguments.end(), options.begin(), options.end());
  };
  switch (c.as) {
    case As::table: give("table.csv", {}); break;
    case As::series: give("series.csv", {"--series", "--target", "load", "--window", "8"}); break;
    case As::text: give("book.txt", {}); break;
    case As::lines: give("lines.tsv", {"--text", "text", "--target", "kind"}); break;
    case As::pixels: {
      const std::string labels = folder.write("labels.idx", idx({4}, 4));
      give("pixels.idx", {"--labels", labels});
      break;
    }
    case As::image:
      std::filesystem::create_directories(folder / "photos/cat");
      std::filesystem::create_directories(folder / "photos/dog");
      folder.write("photos/dog/b.png", c.content);
      path = folder.write("photos/cat/a.png", c.content);
      arguments.push_back(folder / "photos");
      break;
    case As::configuration:
      path = file("run.toml");
      arguments = {"train", "iris", "--config", path};
      break;
    case As::rows:
      path = file("rows.csv");
      arguments = {"predict", *made_ / "run/model.soma", path};
      break;
  }
  if (c.as != As::rows) arguments.insert(arguments.end(), {"--out", out});
  arguments.insert(arguments.end(), c.options.begin(), c.options.end());
  const size_t before = folder.entries();
  const Finished run = soma_run(arguments);
  EXPECT_EQ(run.code, c.as == As::configuration ? 2 : 1) << run.err << run.out;
  EXPECT_EQ(run.err.rfind("soma: ", 0), 0u) << run.err;
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  std::vector<std::string> facts = c.facts;
  facts.push_back(path);
  for (const std::string& fact : facts) {
    EXPECT_NE(run.err.find(fact), run.err.npos) << "lacks \"" << fact << "\":\n" << run.err;
  }
  EXPECT_EQ(folder.entries(), before) << "a file was left behind";
}

std::string case_name(const testing::TestParamInfo<BadFile>& info) {
  std::string name = info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Cases, BadFiles, testing::ValuesIn(bad_files), case_name);

}  // namespace
}  // namespace soma
