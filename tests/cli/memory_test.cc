// Tables larger than the memory there is: the limit is on what a program may write to without a
// file behind it (RLIMIT_DATA), which is what runs out.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <charconv>

#include "tests/cli/program.h"

namespace soma {
namespace {

constexpr int columns = 100;

/// A table of that many rows, 400 bytes each as numbers.
std::string table(int rows) {
  std::string text;
  for (int column = 0; column < columns; ++column) text += "x" + std::to_string(column) + ",";
  text += "y\n";
  char cell[8];
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      const int value = (row * 7919 + column * column * 31 + row * column) % 1000;
      text.append(cell, std::to_chars(cell, cell + sizeof cell, value).ptr) += ',';
    }
    text += std::to_string(row % 97) + ".5\n";
  }
  return text;
}

Finished train(const std::string& path, const std::string& memory) {
  rlimit old{};
  getrlimit(RLIMIT_DATA, &old);
  const rlimit small{rlim_t{60} << 20, old.rlim_max};
  setrlimit(RLIMIT_DATA, &small);  // the program inherits it
  const Program program({"train", path, "--net", "1", "--steps", "50", "--threads", "2",
                         "--validation", "0", "--quiet", "--memory", memory});
  setrlimit(RLIMIT_DATA, &old);
  return program.wait();
}

TEST(Memory, StaysWhateverTheNumberOfRows) {
#ifdef SOMA_SANITIZED
  GTEST_SKIP() << "a sanitizer takes more memory than the limit";
#endif
  const TemporaryFolder folder;
  const std::string few = folder.write("few.csv", table(30'000)),
                    many = folder.write("many.csv", table(120'000));
  for (const std::string& path : {few, many}) {
    const Finished run = train(path, "0.01");
    EXPECT_EQ(run.code, 0) << run.err;
    EXPECT_NE(run.out.find("test "), run.out.npos) << run.out;
  }
  // 48 MB of rows do not fit; that it is said shows that the limit was one.
  const Finished whole = train(many, "4");
  EXPECT_EQ(whole.code, 1);
  EXPECT_NE(whole.err.find("not enough memory"), whole.err.npos) << whole.err;
}

}  // namespace
}  // namespace soma
