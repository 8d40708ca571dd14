// The text form of named things, on a registry made here; and texts of random characters, which
// must be read or refused, but never break anything.
#include "soma/named.h"

#include "src/base/philox.h"
#include "tests/expect_error.h"

namespace soma {

namespace {

struct Sum : Row {
  std::function<double(double, std::span<const std::string>)> build;
};
Registry<Sum> sums() {
  Registry<Sum> registry("sum");
  const auto weighted = +[](double x, double a, bool negative, const std::vector<double>& rest) {
    for (const double r : rest) a += r;
    return negative ? -a * x : a * x;
  };
  using Rows = detail::Bind<double, double>;
  registry.add({{"weighted", "a x", "", "",
                 Rows::parameters(weighted, "a=0.10 in (0,2], negative=false, rest=[]")},
                Rows::call(weighted)});
  return registry;
}

}  // namespace

TEST(Named, ReadsBuildsAndPrints) {
  const auto registry = sums();
  const auto value = [&](std::string_view text) {
    const Named<Sum> named(registry, text);
    EXPECT_EQ(Named<Sum>(registry, named.text()), named);
    return named.row().build(10, named.arguments());
  };
  EXPECT_EQ(value("weighted"), 1);
  EXPECT_EQ(value("weighted()"), 1);
  EXPECT_EQ(value("weighted(1)"), 10);
  EXPECT_EQ(value("weighted(rest=[1 2], a=1)"), 40);
  EXPECT_EQ(Named<Sum>(registry, "weighted(rest=[1.0,2])").text(), "weighted(rest=[1 2])");
  EXPECT_EQ(value("weighted( a = 2  negative = true )"), -20);
  EXPECT_EQ(Named<Sum>(registry, "weighted(a=0.1)").text(), "weighted");
  EXPECT_EQ(Named<Sum>(registry, "weighted", {1e-3, true}).text(),
            "weighted(a=0.001 negative=true)");
  EXPECT_EQ(Named<Sum>(registry, "weighted", {{}, {}, std::vector<double>{1, 2.5}}).text(),
            "weighted(rest=[1 2.5])");
}

TEST(Named, RefusesWithSentences) {
  const auto registry = sums();
  const auto read = [&](std::string_view text) { return Named<Sum>(registry, text); };
  EXPECT_ERROR(ArgumentError, read("weigthed"), "no sum named \"weigthed\"", "\"weighted\"");
  EXPECT_ERROR(ArgumentError, read("weighted(b=1)"), "no parameter \"b\"",
               "(a=0.10 negative=false rest=[])");
  EXPECT_ERROR(ArgumentError, read("weighted(a=0)"), "a in (0,2]", "0");
  EXPECT_ERROR(ArgumentError, read("weighted(a=)"), "nothing after");
  EXPECT_ERROR(ArgumentError, read("weighted(1 2 3 4)"), "too many");
  EXPECT_ERROR(ArgumentError, read("weighted(negative=maybe)"), "true or false", "maybe");
  EXPECT_ERROR(ArgumentError, read("weighted(rest=[1 x])"), "a number");
  EXPECT_ERROR(ArgumentError, read("weighted(a=1) more"), "cannot read");
}

TEST(Named, SurvivesAnyText) {
  const auto registry = sums();
  const std::string_view pieces[] = {"weighted", "(", ")", "[", "]", "=",  "a", "negative",
                                     "true",     "1", "-", ".", ",", "\t", " ", "e"};
  Random random(1);
  int read = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = random.below(2) ? "weighted(" : "";
    for (uint64_t length = random.below(9); length > 0; --length) text += pieces[random.below(16)];
    if (random.below(2)) text += ")";
    try {
      const Named<Sum> named(registry, text);
      EXPECT_EQ(Named<Sum>(registry, named.text()), named) << text;
      ++read;
    } catch (const ArgumentError&) {
    }
  }
  EXPECT_GT(read, 100);
}

}  // namespace soma
