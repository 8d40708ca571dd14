// The text helpers that messages are made with.
#include "src/base/text.h"

#include <gtest/gtest.h>

namespace soma {
namespace {

TEST(Text, NearestNamesAreThoseOneSlipAway) {
  const std::vector<std::string> names{"relu", "tanh", "sigmoid", "input"};
  EXPECT_EQ(nearest("rleu", names), "relu");       // swapped
  EXPECT_EQ(nearest("inptu", names), "input");     // swapped at the end
  EXPECT_EQ(nearest("sigmod", names), "sigmoid");  // left out
  EXPECT_EQ(nearest("tanhh", names), "tanh");      // doubled
  EXPECT_EQ(nearest("swish", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(did_you_mean("tnah", names), "; did you mean \"tanh\"?");
}

TEST(Text, NumbersAreGroupedByThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-101770), "-101,770");
  EXPECT_EQ(grouped(INT64_MIN), "-9,223,372,036,854,775,808");
  EXPECT_EQ(counted(1, "cell"), "1 cell");
  EXPECT_EQ(counted(0, "cell"), "0 cells");
}

TEST(Text, ExcerptsDoNotCutCharacters) {
  EXPECT_EQ(excerpt("short", 5), "short");
  EXPECT_EQ(excerpt("longer", 5), "longe…");
  EXPECT_EQ(excerpt("w·x + b", 2), "w…");  // "·" takes two bytes
}

}  // namespace
}  // namespace soma
