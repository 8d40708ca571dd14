// What the columns of a table are found to be, and its rows read by that.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <set>

#include "soma/data.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

using data::CsvOptions;
using data::CsvTarget;
using testing::ElementsAre;
using testing::HasSubstr;

class Table : public testing::Test {
 protected:
  std::string write(const std::string& content, const std::string& name = "table.csv") {
    return folder_.write(name, content);
  }
  Schema schema(const std::string& content, const CsvOptions& options = {}) {
    return data::read_schema(write(content), options);
  }
  TemporaryFolder folder_;
};

const Column& column(const Schema& schema, const std::string& name) {
  for (const Column& c : schema.columns) {
    if (c.name == name) return c;
  }
  throw std::runtime_error("no column " + name);
}

/// 60 rows with a column of each kind.
std::string mixed() {
  std::string text = "id,area,town,garden,built,note,same,copy,price\n";
  const char* towns[] = {"Ulm", "Bonn", "Köln"};
  for (int i = 0; i < 60; ++i) {
    const std::string area = i % 10 == 3 ? "NA" : std::to_string(50 + i * 7 % 90);
    text += std::to_string(i + 1) + "," + area + "," + (i % 12 == 5 ? "" : towns[i % 3]) + "," +
            (i % 2 ? "yes" : "no") + ",20" + std::to_string(10 + i % 9) + "-0" +
            std::to_string(1 + i % 9) + "-15,\"written by " + std::to_string(i) + "\",eur," + area +
            "," + std::to_string(100.5 + i) + "\n";
  }
  return text;
}

TEST_F(Table, FindsEveryKindOfColumn) {
  const Schema s = schema(mixed(), {.drop = {"note"}});
  EXPECT_EQ(s.rows, 60);
  EXPECT_TRUE(s.header);
  EXPECT_EQ(column(s, "id").use, ColumnUse::dropped);
  EXPECT_EQ(column(s, "id").note, "numbers the rows");
  EXPECT_EQ(column(s, "area").kind, ColumnKind::number);
  EXPECT_EQ(column(s, "area").missing, 6);
  EXPECT_GE(column(s, "area").least, 50);
  EXPECT_EQ(column(s, "town").kind, ColumnKind::category);
  EXPECT_THAT(column(s, "town").categories, ElementsAre("Bonn", "Köln", "Ulm"));
  EXPECT_EQ(column(s, "town").missing, 5);
  EXPECT_EQ(column(s, "garden").kind, ColumnKind::yes_no);
  EXPECT_THAT(column(s, "garden").categories, ElementsAre("no", "yes"));
  EXPECT_THAT(column(s, "garden").counts, ElementsAre(30, 30));
  EXPECT_EQ(column(s, "built").kind, ColumnKind::date);
  EXPECT_EQ(column(s, "built").date, "y-m-d");
  EXPECT_EQ(column(s, "same").note, "always eur");
  EXPECT_EQ(column(s, "copy").note, "equal to column \"area\"");
  EXPECT_EQ(column(s, "price").use, ColumnUse::target);
  EXPECT_EQ(s.inputs().size(), 4u);
}

TEST_F(Table, RefusesTextWithAdvice) {
  EXPECT_ERROR(FileError, schema(mixed()), "line 2", "column \"note\" holds text", "60 different",
               "written by 0", "--drop");
  const Schema shown = schema(mixed(), {.drop_text = true});
  EXPECT_EQ(column(shown, "note").use, ColumnUse::dropped);
  const Schema forced = schema(mixed(), {.kinds = {{"note", "category"}}});
  EXPECT_EQ(column(forced, "note").categories.size(), 60u);
}

TEST_F(Table, TakesTheUsersWord) {
  const std::string text =
      "zip,day,y\n01,3/4/2020,1.5\n02,1/2/2020,2\n01,12/11/2020,0\n02,3/3/2020,4\n";
  EXPECT_EQ(column(schema(text), "zip").kind, ColumnKind::number);
  EXPECT_EQ(column(schema(text), "day").date, "m/d/y");
  EXPECT_THAT(column(schema(text), "day").note, HasSubstr("other way round"));
  const Schema told = schema(text, {.kinds = {{"zip", "category"}, {"day", "date(d/m/y)"}}});
  EXPECT_THAT(column(told, "zip").categories, ElementsAre("01", "02"));
  EXPECT_EQ(column(told, "day").date, "d/m/y");
  EXPECT_EQ(column(told, "day").note, "");
  EXPECT_EQ(schema(text, {.missing = {"01"}}).columns[0].missing, 2);
}

TEST_F(Table, TellsWhatTheTargetIs) {
  EXPECT_EQ(schema("a,y\n1,3\n2,4\n3,3\n4,4\n").columns[1].kind, ColumnKind::category);
  EXPECT_EQ(
      schema("a,y\n1,3\n2,4\n3,3\n4,4\n", {.target_kind = CsvTarget::numbers}).columns[1].kind,
      ColumnKind::number);
  EXPECT_EQ(schema("a,y\n1,3.5\n2,4\n3,3\n4,4\n").columns[1].kind, ColumnKind::number);
  EXPECT_EQ(schema("a,y\n1,3.5\n2,4\n3,3.5\n4,4\n", {.target_kind = CsvTarget::classes})
                .columns[1]
                .categories.size(),
            2u);
}

TEST_F(Table, ReadsRowsAsNumbers) {
  const std::string path = write(
      "a,town,garden,built,y\n"
      "1.5,Ulm,no,1970-01-03,10.5\n"
      ",Bonn,yes,1970-01-03 12:00,11\n"
      "2.5,,no,NA,12\n"
      "9,Ulm,yes,1969-12-31,\n"
      "2.5,Bonn,?,2000-03-01,12.25\n");
  const Dataset d = data::load_csv(path);
  ASSERT_EQ(d.size(), 4) << "the row without a target is left out";
  EXPECT_EQ(d.schema.without_target, 1);
  const float nan = std::nanf("");
  const float wanted[] = {1.5, 1, 0, 2, nan, 0, 1, 2.5, 2.5, nan, 0, nan, 2.5, 0, nan, 11017};
  for (int i = 0; i < 16; ++i) {
    if (std::isnan(wanted[i])) {
      EXPECT_TRUE(std::isnan(d.inputs.at(i))) << i;
    } else {
      EXPECT_EQ(d.inputs.at(i), wanted[i]) << i;
    }
  }
  EXPECT_EQ(d.targets, Tensor::of({4, 1}, {10.5, 11, 12, 12.25}));
}

TEST_F(Table, FindsColumnsByNameInAnyOrder) {
  const Schema s = schema(mixed(), {.drop = {"note"}});
  const std::string same = "price,garden,built,x,area,town\n1,yes,2012-01-15,?,70,Ulm\n";
  data::CsvRows rows(write(same, "other.csv"), s);
  std::vector<float> row(4);
  ASSERT_TRUE(rows.next(row));
  EXPECT_TRUE(rows.has_target());
  EXPECT_EQ(rows.target(), 1);
  EXPECT_EQ(row[0], 70);
  EXPECT_EQ(row[1], 2);
  EXPECT_EQ(row[2], 1);
  EXPECT_FALSE(rows.next(row));
  EXPECT_TRUE(rows.notes().empty());
  data::CsvRows without(write("town,garden,built,area\nRom,no,2012-01-15,1\n\n", "b.csv"), s);
  ASSERT_TRUE(without.next(row));
  EXPECT_FALSE(without.has_target());
  EXPECT_TRUE(std::isnan(without.target()));
  EXPECT_EQ(row[1], 3) << "an unknown category has the number behind the known ones";
  ASSERT_EQ(without.notes().size(), 1u);
  EXPECT_THAT(without.notes()[0], HasSubstr("\"Rom\" in line 2"));
  // Without names: the inputs in their order.
  data::CsvRows plain("70;Ulm;yes;2012-01-15\n", "typed", s);
  ASSERT_TRUE(plain.next(row));
  EXPECT_EQ(row[0], 70);
}

TEST_F(Table, SaysWhatIsWrongWithRowsToPredict) {
  const Schema s = schema(mixed(), {.drop = {"note"}});
  std::vector<float> row(4);
  const auto read = [&](const std::string& text) {
    data::CsvRows rows(text, "new.csv", s);
    while (rows.next(row)) {
    }
  };
  EXPECT_ERROR(FileError, read("area,garden,built\n1,no,2012-01-15\n"), "new.csv",
               "no column \"town\"", "the model needs it");
  EXPECT_ERROR(FileError, read("area,twon,garden,built\n1,Ulm,no,2012-01-15\n"),
               "did you mean \"twon\"");
  EXPECT_ERROR(FileError, read("area,town,garden,built\nbig,Ulm,no,2012-01-15\n"), "line 2",
               "column \"area\"", "\"big\" is not a number");
  EXPECT_ERROR(FileError, read("area,town,garden,built\n1,Ulm,no,15.1.2012\n"), "line 2",
               "column \"built\"", "no date like y-m-d");
  EXPECT_ERROR(FileError, read("area,town,garden,built\n1e99,Ulm,no,2012-01-15\n"), "too large");
  EXPECT_ERROR(FileError, read("area,town,garden,built\n-inf,Ulm,no,2012-01-15\n"), "not finite");
  EXPECT_ERROR(FileError, read("area,town,garden,built\n1,Ulm,no\n"), "line 2", "3 cells");
  EXPECT_ERROR(FileError, read("1,Ulm\n"), "2 cells", "area, town, garden, built");
  const Schema kinds = schema("a,y\n1,cat\n2,dog\n3,cat\n4,dog\n");
  std::vector<float> one(1);
  data::CsvRows rows(std::string_view("a,y\n1,dgo\n"), "new.csv", kinds);
  EXPECT_ERROR(FileError, rows.next(one), "line 2", "unknown class \"dgo\"", "mean \"dog\"");
}

TEST_F(Table, CutsPartsWithEveryClassAlike) {
  std::string text = "a,y\n";
  for (int i = 0; i < 200; ++i) {
    text += std::to_string(i * 37 % 211) + (i % 10 == 0 ? ",rare\n" : i % 2 ? ",odd\n" : ",even\n");
  }
  const std::string path = write(text);
  const Schema s = data::read_schema(path);
  const double fractions[] = {0.7, 0.1, 0.2};
  const auto parts = data::load_csv(path, s, fractions, 3);
  ASSERT_EQ(parts.size(), 3u);
  std::multiset<double> seen;
  const int64_t sizes[] = {140, 20, 40}, rare[] = {14, 2, 4};
  for (size_t p = 0; p < 3; ++p) {
    EXPECT_EQ(parts[p].size(), sizes[p]);
    int64_t count = 0;
    for (int64_t i = 0; i < parts[p].size(); ++i) {
      seen.insert(parts[p].inputs.at(i));
      count += parts[p].targets.at(i) == 2;
    }
    EXPECT_EQ(count, rare[p]);
  }
  EXPECT_EQ(seen.size(), 200u);
  // The same as cutting what is in memory; another seed cuts elsewhere; on disk nothing changes.
  const auto cut = data::stratified_split(data::load_csv(path), fractions, 3);
  const auto on_disk = data::load_csv(path, s, fractions, 3, 0);
  for (size_t p = 0; p < 3; ++p) {
    EXPECT_EQ(cut[p].inputs, parts[p].inputs);
    EXPECT_EQ(cut[p].targets, parts[p].targets);
    EXPECT_EQ(on_disk[p].inputs, parts[p].inputs);
  }
  EXPECT_NE(data::load_csv(path, s, fractions, 4)[0].inputs, parts[0].inputs);
  const double wrong[] = {0.7, 0.7};
  EXPECT_ERROR(ArgumentError, data::load_csv(path, s, wrong, 3), "add up to 1.4");
}

TEST_F(Table, ReadsWeights) {
  const std::string path = write("a,w,y\n1,2,0.5\n2,,1\n3,0.5,2\n");
  const Dataset d = data::load_csv(path, {.weight = "w"});
  EXPECT_EQ(d.weights, Tensor::of({3}, {2, 1, 0.5}));
  EXPECT_EQ(d.features(), 1);
  EXPECT_EQ(d.subset(1, 3).weights, Tensor::of({2}, {1, 0.5}));
  EXPECT_ERROR(FileError, data::load_csv(write("a,w,y\n1,-2,0.5\n2,1,1\n"), {.weight = "w"}),
               "line 2", "column \"w\"", "-2 is no weight");
}

TEST_F(Table, ComesInChunksOfAnySize) {
  // Long enough for several chunks, with quoted line breaks everywhere.
  std::string text = "text,a,y\r\n";
  for (int i = 0; i < 60000; ++i) {
    text += "\"x \"\"" + std::to_string(i % 7) + "\"\",\r\n\"," + std::to_string(i % 1009) + "," +
            std::to_string(0.5 * (i % 31)) + "\r\n";
  }
  const std::string path = write(text);
  const Dataset d = data::load_csv(path);
  ASSERT_EQ(d.size(), 60000);
  EXPECT_EQ(d.schema.columns[0].categories[3], "x \"3\",\r\n");
  for (const int64_t i : {0, 1, 12345, 59999}) {
    EXPECT_EQ(d.inputs.at(2 * i), static_cast<double>(i % 7));
    EXPECT_EQ(d.inputs.at(2 * i + 1), static_cast<double>(i % 1009));
    EXPECT_EQ(d.targets.at(i), 0.5 * static_cast<double>(i % 31));
  }
}

TEST_F(Table, KeepsTheMostFrequentOfManyCategories) {
  std::string text = "k,y\n";
  for (int i = 0; i < 6000; ++i) {
    text +=
        "c" + std::to_string(i < 3000 ? i % 1500 : i % 500) + "," + std::to_string(i * 0.5) + "\n";
  }
  const Schema s = schema(text);
  EXPECT_EQ(s.columns[0].categories.size(), 1000u);
  EXPECT_THAT(s.columns[0].note, HasSubstr("500 rarest of 1500"));
  const auto& kept = s.columns[0].categories;
  EXPECT_NE(std::find(kept.begin(), kept.end(), "c499"), kept.end());
}

TEST(Penguins, HaveMissingValues) {
  const Dataset penguins = data::penguins();
  EXPECT_EQ(penguins.size(), 344);
  EXPECT_EQ(penguins.features(), 6);
  EXPECT_THAT(penguins.class_names, ElementsAre("Adelie", "Chinstrap", "Gentoo"));
  int missing = 0;
  for (int64_t i = 0; i < penguins.inputs.elements(); ++i) {
    missing += std::isnan(penguins.inputs.at(i));
  }
  EXPECT_EQ(missing, 19);
}

}  // namespace
}  // namespace soma
