#include <gtest/gtest.h>

#include "soma/io.h"
#include "src/base/file.h"
#include "tests/damage.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

std::string file_of(const std::string& header, const std::string& data, int version = 1) {
  std::string text = "\x93NUMPY";
  text += {static_cast<char>(version), 0, static_cast<char>(header.size() & 255),
           static_cast<char>(header.size() >> 8)};
  if (version > 1) text += std::string(2, '\0');
  return text + header + data;
}
std::string dictionary(const std::string& descr, const std::string& shape,
                       const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

TEST(Npy, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  for (const Tensor& tensor :
       {Tensor::of({2, 3}, {1, 2, 3, 4, 5, 6.5}), Tensor::of<double>({1}, {0.1}), Tensor({0, 3}),
        Tensor::scalar(-7, i32), Tensor::of<int64_t>({2}, {1, int64_t{1} << 60}),
        Tensor::of<uint8_t>({1, 2}, {0, 255}), Tensor::of<bool>({2}, {false, true})}) {
    write_npy(folder / "a", tensor);
    EXPECT_EQ(read_npy(folder / "a"), tensor);
  }
}

TEST(Npy, WritesWhatTheFormatDescribes) {
  // By hand from NEP 1: padded with spaces so that the data begins on a multiple of 64.
  const TemporaryFolder folder;
  write_npy(folder / "a", Tensor::of<uint8_t>({3}, {1, 2, 3}));
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }";
  header += std::string(128 - 10 - header.size() - 1, ' ') + '\n';
  EXPECT_EQ(read_text(folder / "a"), file_of(header, "\1\2\3"));
}

TEST(Npy, ReadsOtherOrdersVersionsAndTypes) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& content) {
    return read_npy(folder.write("a", content));
  };
  EXPECT_EQ(read(file_of(dictionary("|u1", "(2, 3)", "True"), "\1\2\3\4\5\6")),
            Tensor::of<uint8_t>({2, 3}, {1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(read(file_of(dictionary("|u1", "(2, 1, 2)", "True"), "\1\2\3\4", 2)),
            Tensor::of<uint8_t>({2, 1, 2}, {1, 3, 2, 4}));
  EXPECT_EQ(read(file_of(dictionary(">i4", "(1,)"), std::string("\0\0\1\2", 4), 3)),
            Tensor::of<int32_t>({1}, {258}));
  EXPECT_EQ(read(file_of(dictionary("<f2", "()"), std::string("\x00\xc5", 2))),
            Tensor::of(Shape{}, {-5}));
  EXPECT_EQ(read(file_of(dictionary(">u2", "(1,)"), "\xff\xfe")),
            Tensor::of<int32_t>({1}, {65534}));
  EXPECT_EQ(read(file_of(dictionary("<u4", "(1,)"), "\xff\xff\xff\xff")),
            Tensor::of<int64_t>({1}, {4294967295}));
  EXPECT_EQ(read(file_of(dictionary("|i1", "(1,)"), "\xff")), Tensor::of<int32_t>({1}, {-1}));
}

TEST(Npy, SurvivesRandomDamage) {
  const std::string good = file_of(dictionary("<f4", "(2, 2)", "True"), std::string(16, 'x'));
  EXPECT_GT(refused_after_damage(good, 1500, read_npy), 1000);
}

TEST(Npy, RefusesMalformedFiles) {
  struct Case {
    std::string name, content;
    std::vector<std::string> facts;
  };
  const std::string good = dictionary("|u1", "(2,)");
  const Case cases[] = {
      {"empty", "", {"0 bytes"}},
      {"magic", std::string(20, 'x'), {"NUMPY"}},
      {"version", file_of(good, "ab", 4), {"version 4"}},
      {"header", file_of(good, "").substr(0, 30), {"header claims", "file of 30"}},
      {"object", file_of(dictionary("|O", "(2,)"), "ab"), {"'|O'", "astype"}},
      {"u8", file_of(dictionary("<u8", "(1,)"), "abcdefgh"), {"'<u8'"}},
      {"fields", file_of("{'descr': [('a', '<f4')]}", ""), {"several fields"}},
      {"short", file_of(good, "a"), {"(2)", "needs 2 bytes", "1 follow"}},
      {"long", file_of(good, "abc"), {"needs 2 bytes", "3 follow"}},
      {"negative", file_of(dictionary("|u1", "(-2,)"), "ab"), {"0 or more"}},
      {"overflow", file_of(dictionary("<f8", "(4294967296, 4294967296)"), ""), {"more than 2^63"}},
      {"axes", file_of(dictionary("|u1", "(1,1,1,1,1,1,1,1,1)"), "a"), {"9 axes"}},
      {"lacks", file_of("{'descr': '|u1', 'shape': (2,)}", "ab"), {"lacks 'fortran_order'"}},
      {"twice", file_of("{'shape': (2,), 'shape': (2,)}", "ab"), {"two 'shape'"}},
      {"unknown", file_of("{'code': 'x'}", ""), {"unknown key 'code'"}},
      {"truth", file_of(dictionary("|u1", "(2,)", "Maybe"), "ab"), {"True or False"}},
      {"tail", file_of(good + "x", "ab"), {"follows the dictionary"}},
      {"open", file_of("{'descr", ""), {"never ends"}},
      {"bool", file_of(dictionary("|b1", "(2,)"), "\1\2"), {"0 and 1"}},
  };
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<std::string> facts = c.facts;
    facts.push_back(folder / c.name);
    expect_error<FileError>([&] { read_npy(folder.write(c.name, c.content)); }, facts);
  }
}

}  // namespace
}  // namespace soma
