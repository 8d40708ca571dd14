#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <random>

#include "soma/data.h"
#include "src/data/cells.h"
#include "tests/damage.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

using data::CsvHeader;
using data::CsvOptions;
using data::CsvTarget;

std::vector<std::string> input_names(const Dataset& dataset) {
  std::vector<std::string> names;
  for (const Column* column : dataset.schema.inputs()) names.push_back(column->name);
  return names;
}

Dataset read(const std::string& content, const CsvOptions& options = {}) {
  const TemporaryFolder folder;
  return data::load_csv(folder.write("table.csv", content), options);
}

TEST(Csv, ReadsATableOfNumbers) {
  const Dataset dataset = read("rooms,area,price\n2,50.5,100000\n3,7e1,+150000.5\n");
  EXPECT_EQ(dataset.inputs, Tensor::of({2, 2}, {2, 50.5, 3, 70}));
  EXPECT_EQ(dataset.targets, Tensor::of({2, 1}, {100000, 150000.5}));
  EXPECT_EQ(input_names(dataset), (std::vector<std::string>{"rooms", "area"}));
  EXPECT_FALSE(dataset.is_classification());
}

TEST(Csv, FindsHeaderAndDelimiter) {
  const Tensor expected = Tensor::of({2, 1}, {1, 3});
  for (const char* text : {"1,2\n3,4\n", "1;2\n3;4", "1\t2\r\n3\t4\r\n", "a,b\n1,2\n3,4\n",
                           "\xEF\xBB\xBF\"a\",b\r\n1 , 2\r\n3,4\r\n\r\n\r\n", "\n1,2\n3,4\n\n",
                           "\"a;x\",b\n1,2\n3,4"}) {
    const Dataset dataset = read(text);
    EXPECT_EQ(dataset.inputs, expected) << text;
    EXPECT_EQ(dataset.targets, Tensor::of({2, 1}, {2, 4})) << text;
  }
  EXPECT_EQ(input_names(read("1,2\n3,4\n5,6", {.header = CsvHeader::present}))[0], "1");
  EXPECT_EQ(read("1|2\n3|4\n", {.delimiter = '|'}).inputs, expected);
  EXPECT_EQ(read("1:2\n3:4\n", {.delimiter = ':'}).inputs, expected);
  EXPECT_EQ(read("1,0;2,5\n3,0;4,5\n", {.delimiter = ';', .decimal = ','}).inputs, expected);
}

TEST(Csv, ReadsQuotedCells) {
  const Dataset dataset = read("\"a \"\"first\"\"\",\"b,\nc\",kind\n\"1\",2,\"x, y\"\n3,\"4\",z\n");
  EXPECT_EQ(input_names(dataset), (std::vector<std::string>{"a \"first\"", "b,\nc"}));
  EXPECT_EQ(dataset.inputs, Tensor::of({2, 2}, {1, 2, 3, 4}));
  EXPECT_EQ(dataset.class_names, (std::vector<std::string>{"x, y", "z"}));
}

TEST(Csv, LabelsClassesInSortedOrder) {
  const Dataset names = read("x,kind\n1,wolf\n2,cat\n3,wolf\n4,dog\n");
  EXPECT_EQ(names.class_names, (std::vector<std::string>{"cat", "dog", "wolf"}));
  EXPECT_EQ(names.targets, Tensor::of<int32_t>({4}, {2, 0, 2, 1}));

  const Dataset numbers = read("1,10\n1,9\n1,9.0\n1,-1\n2,10\n1,-1\n");
  EXPECT_EQ(numbers.class_names, (std::vector<std::string>{"-1", "9", "10"}));
  EXPECT_EQ(numbers.targets, Tensor::of<int32_t>({6}, {2, 1, 1, 0, 2, 0}));

  const Dataset few = read("1,10\n2,9\n", {.target_kind = CsvTarget::classes});
  EXPECT_EQ(few.class_names, (std::vector<std::string>{"9", "10"}));

  const Dataset decided = read("x,sold\n1,Yes\n2,No\n3,Yes\n");
  EXPECT_EQ(decided.class_names, (std::vector<std::string>{"No", "Yes"}));
  EXPECT_EQ(decided.targets, Tensor::of<int32_t>({3}, {1, 0, 1}));
}

TEST(Csv, TellsClassesFromNumbers) {
  EXPECT_TRUE(read("1,0\n2,1\n3,0\n4,1\n").is_classification());
  EXPECT_FALSE(read("1,0\n2,1\n3,2\n").is_classification()) << "every value is different";
  EXPECT_FALSE(read("1,0\n2,0.5\n3,0\n4,0.5\n").is_classification()) << "fractions";
  EXPECT_FALSE(
      read("1,0\n2,1\n3,0\n4,1\n", {.target_kind = CsvTarget::numbers}).is_classification());
  EXPECT_FALSE(read("1,0\n2,1\n3,0\n4,1\n", {.max_integer_classes = 1}).is_classification());
}

TEST(Csv, ChoosesColumns) {
  const std::string text = "id,y,a,b\nfirst,1,2.5,3\nsecond,4,5.5,7\n";
  const Dataset dataset = read(text, {.target = "y", .drop = {"id"}});
  EXPECT_EQ(dataset.inputs, Tensor::of({2, 2}, {2.5, 3, 5.5, 7}));
  EXPECT_EQ(dataset.targets, Tensor::of({2, 1}, {1, 4}));
  EXPECT_EQ(read(text, {.target = "1", .drop = {"0"}}).inputs, dataset.inputs);
  const Dataset all = read("1,2\n3,4\n", {.target_kind = CsvTarget::none});
  EXPECT_EQ(all.inputs, Tensor::of({2, 2}, {1, 2, 3, 4}));
  EXPECT_EQ(all.targets.shape(), (Shape{2, 0}));
}

TEST(Csv, TakesTinyNumbersForZero) {
  EXPECT_EQ(read("1e-400,1\n1,2.5\n").inputs, Tensor::of({2, 1}, {0, 1}));
}

/// As from_chars reads it, whatever quick way there is.
TEST(Csv, ReadsTheNearestNumber) {
  std::mt19937 random(3);
  const auto digits = [&](int most) {
    std::string text;
    for (int left = static_cast<int>(random() % (static_cast<unsigned>(most) + 1)); left > 0;
         --left)
      text += static_cast<char>('0' + random() % 10);
    return text;
  };
  const char* const endings[] = {"", "", "", "", "e3", "E-2", "x", " ", "-", ":", "/", "\xff"};
  int numbers = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = random() % 3 == 0 ? "-" : "";
    text += digits(5);
    if (random() % 4 != 0) text += "." + digits(i % 2 ? 4 : 12);
    text += endings[random() % std::size(endings)];
    double expected = 0, found = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), expected);
    const bool is_number = code == std::errc() && end == text.data() + text.size();
    const auto reading = data::read_number(text, '.', found);
    ASSERT_EQ(reading == data::Reading::number, is_number) << text;
    if (!is_number) continue;
    ++numbers;
    ASSERT_EQ(std::bit_cast<uint64_t>(found), std::bit_cast<uint64_t>(expected)) << text;
    std::ranges::replace(text, '.', ',');
    ASSERT_EQ(data::read_number(text, ',', found), data::Reading::number) << text;
    ASSERT_EQ(std::bit_cast<uint64_t>(found), std::bit_cast<uint64_t>(expected)) << text;
  }
  EXPECT_GT(numbers, 50'000);
}

/// Tables of many blocks, with everything that makes a line unlike the others at random places.
TEST(Csv, ReadsTheSameOnAnyNumberOfThreads) {
  std::mt19937 random(5);
  const TemporaryFolder folder;
  std::string text = "a,town,built,note,y\n";
  const char* towns[] = {"Ulm", "Bonn", "\"Köln, am Rhein\"", "\"the \"\"big\"\" one\"", "NA", ""};
  const int rows = 60'000;
  std::vector<float> expected;
  for (int i = 0; i < rows; ++i) {
    const int value = static_cast<int>(random() % 100'000);
    const bool missing = random() % 50 == 0;
    if (!missing) expected.push_back(static_cast<float>(value) / 100);
    text += std::to_string(static_cast<double>(value) / 10) + "," + towns[random() % 6] + ",20" +
            std::to_string(10 + random() % 20) + "-0" + std::to_string(1 + random() % 9) + "-11," +
            (random() % 100 == 0 ? "\"two\nlines\"" : "5\" wide") + "," +
            (missing ? "" : std::to_string(static_cast<double>(value) / 100)) +
            (random() % 3 ? "\n" : "\r\n");
  }
  text += "\n\n";
  const std::string path = folder.write("table.csv", text);
  const Schema schema = data::read_schema(path, {.threads = 1});
  EXPECT_EQ(schema.rows, static_cast<int64_t>(expected.size()));
  EXPECT_EQ(schema.columns[1].categories.size(), 4u);
  EXPECT_EQ(schema.columns[3].categories.size(), 2u);
  const Dataset one = data::load_csv(path, schema, nullptr, 1);
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(one.targets.at(static_cast<int64_t>(i)), expected[i]) << i;
  }
  // Row by row, as text that is not cut into blocks.
  data::CsvRows lines(path, schema);
  std::vector<float> row(schema.inputs().size());
  for (int64_t i = 0; lines.next(row);) {
    if (std::isnan(lines.target())) continue;
    for (size_t j = 0; j < row.size(); ++j) {
      const auto found = static_cast<float>(
          one.inputs.at(i * static_cast<int64_t>(row.size()) + static_cast<int64_t>(j)));
      ASSERT_EQ(std::bit_cast<uint32_t>(found), std::bit_cast<uint32_t>(row[j])) << i;
    }
    ++i;
  }
  const double halves[] = {0.5, 0.5};
  const auto parts = data::load_csv(path, schema, halves, 7, UINT64_MAX, 1);
  for (const int threads : {2, 5}) {
    EXPECT_EQ(data::read_schema(path, {.threads = threads}), schema);
    EXPECT_TRUE(one.inputs == data::load_csv(path, schema, nullptr, threads).inputs);
    const auto again = data::load_csv(path, schema, halves, 7, UINT64_MAX, threads);
    for (const size_t part : {size_t{0}, size_t{1}})
      EXPECT_TRUE(again[part].inputs == parts[part].inputs);
  }
}

/// The first fault of the file, with its line, wherever the text is cut and whoever finds another.
TEST(Csv, NamesTheFirstFaultOfManyBlocks) {
  const TemporaryFolder folder;
  const auto table = [&](int bad, const std::string& line) {
    std::string text = "a,b\n";
    for (int i = 2; i < 200'000; ++i) {
      text += i == bad || i == 199'000 ? line + "\n" : std::to_string(i * 7 % 1000) + ",\"1.5\"\n";
    }
    return folder.write("table.csv", text);
  };
  for (const int bad : {2, 77'777, 150'001}) {
    const std::string where = "line " + std::to_string(bad);
    EXPECT_ERROR(FileError, data::load_csv(table(bad, "1,2,3")), where, "3 cells");
    EXPECT_ERROR(FileError, data::load_csv(table(bad, "x,2")), where, "\"x\" is not a number");
    EXPECT_ERROR(FileError, data::load_csv(table(bad, "1,\"2\"3")), where, "follows the closing");
    EXPECT_ERROR(FileError, data::load_csv(table(bad, "")), where, "empty");
    Schema schema;
    schema.columns = {{.name = "a"}, {.name = "b", .use = ColumnUse::target}};
    EXPECT_ERROR(FileError, data::load_csv(table(bad, "1,x"), schema), where, "\"x\"");
  }
}

TEST(Csv, SurvivesRandomDamage) {
  const std::string good = "a,\"b \"\"\",c,d\r\n1,2,-3e5,\"x,y\"\r\n4,5,6.5,z\r\n\r\n";
  const auto load = [](const std::string& path) { data::load_csv(path); };
  EXPECT_GT(refused_after_damage(good, 3000, load), 1000);
}

TEST(Csv, NamesTheLineAndColumnOfEveryFault) {
  struct Case {
    std::string name, content;
    CsvOptions options;
    std::vector<std::string> facts;
  };
  const Case cases[] = {
      {"empty", "", {}, {"is empty"}},
      {"blank", "\n\r\n\n", {}, {"is empty"}},
      {"header-only", "a,b\n", {}, {"holds a header", "no line of values"}},
      {"no-target", "a,b\n1,\n2,NA\n", {}, {"column \"b\"", "missing in every line"}},
      {"target-constant",
       "a,b\n1,x\n2,x\n",
       {.target = "a"},
       {"no column as input", "b is always x"}},
      {"short-row", "a,b,c\n1,2,3\n4,5\n", {}, {"line 3", "2 cells", "line 1 has 3"}},
      {"long-row", "1,2\n1,2,3\n", {}, {"line 2", "3 cells"}},
      {"text", "a,b\n1,2\nred,4\n", {}, {"line 3", "column \"a\"", "\"red\" is not a number"}},
      {"half", "a,b\n1,2\n12px,4\n", {}, {"line 3", "\"12px\" is not a number", "1 of 2"}},
      {"hex", "a,b\n7,8\n0x10,4\n", {}, {"line 3", "\"0x10\" is not a number"}},
      {"two-signs", "a,b\n7,8\n+-1,4\n", {}, {"line 3", "\"+-1\" is not a number"}},
      {"thousands", "a;b\n7;8\n9;8\n1 000;4\n", {}, {"line 4", "\"1 000\" is not a number"}},
      {"no-header", "a,b,3\n1,2,3\n", {}, {"line 1", "column 0", "\"a\"", "is a header"}},
      {"late-text", "a,b\n1,2\n2,x\n", {}, {"line 3", "column \"b\"", "\"x\"", "ask for classes"}},
      {"comma", "a;b\n1;2\n1,5;3\n", {}, {"line 3", "column \"a\"", "\"1,5\"", "--decimal ,"}},
      {"inf", "a,b\n1,2\ninf,2\n", {}, {"line 3", "column \"a\"", "inf is not finite"}},
      {"big-double", "a,b\n1e400,2\n1,2\n", {}, {"line 2", "1e400 is too large"}},
      {"big-float", "a,b\n1e39,2\n1,3\n", {}, {"line 2", "1e39 is too large for a 32-bit float"}},
      {"not-asked", "a,b\nx,2\n1,3\n", {.kinds = {{"a", "number"}}}, {"line 2", "\"x\""}},
      {"no-date",
       "a,b\n2020-01-01,1\n2020-13-01,2\n",
       {.kinds = {{"a", "date"}}},
       {"line 3", "column \"a\"", "no dates of one format", "2020-13-01", "y-m-d"}},
      {"constant", "a,b\n1,2\n1,3\n", {}, {"no column as input", "a is always 1"}},
      {"leak", "a,b\n1,1\n2,2\n", {}, {"no column as input", "a is equal to column \"b\""}},
      {"quote", "a,b\n1,2\n\"3,4\n5,6\n", {}, {"line 3", "quoted cell", "never ends"}},
      {"after-quote", "a,b\n\"1\"2,3\n", {}, {"line 2", "follows the closing"}},
      {"blank-line", "a,b\n1,2\n\n3,4\n", {}, {"line 3", "empty"}},
      {"same-name", "a,a\n1,2\n", {}, {"line 1", "two columns", "\"a\""}},
      {"one-column", "a\n1\n2\n", {}, {"no column as input", "delimiter"}},
      {"wrong-delimiter", "a:b\n1:2\n", {}, {"no column as input", "split at \",\""}},
      {"after-newline", "a,\"b\nc\"\n1,2\nx,3\n", {}, {"line 4", "\"x\""}},
  };
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<std::string> facts = c.facts;
    facts.push_back(folder / c.name);
    expect_error<FileError>([&] { data::load_csv(folder.write(c.name, c.content), c.options); },
                            facts);
  }
  EXPECT_ERROR(ArgumentError, read("price,b\n1,2\n", {.target = "prise"}), "table.csv",
               "no column \"prise\"", "did you mean \"price\"", "it has 2");
  EXPECT_ERROR(ArgumentError, read("1,2\n", {.target = "2"}), "no column \"2\"", "no header line");
  EXPECT_ERROR(ArgumentError, read("a,b\n1,2\n", {.drop = {"c"}}), "no column \"c\"");
  EXPECT_ERROR(ArgumentError, read("a,b\n1,2\n", {.drop = {"b"}}), "both the target and dropped");
  EXPECT_ERROR(ArgumentError, read("a,b\n1,2\n", {.weight = "b"}), "both the target and");
  EXPECT_ERROR(ArgumentError, read("a,b\n1,2\n3,4\n", {.kinds = {{"a", "colour"}}}),
               "\"colour\" is no kind", "category");
}

}  // namespace
}  // namespace soma
