#include <gtest/gtest.h>

#ifdef SOMA_ZLIB
#include <zlib.h>
#endif

#include "soma/data.h"
#include "tests/damage.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

const std::string six = bytes({0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255});

struct BadFile {
  std::string name, content;
  std::vector<std::string> facts;
};

/// Each is refused with a sentence that names the file and the facts, under a limit of 10000 bytes.
void expect_refused(const std::vector<BadFile>& files) {
  const TemporaryFolder folder;
  for (const BadFile& bad : files) {
    SCOPED_TRACE(bad.name);
    std::vector<std::string> facts = bad.facts;
    facts.push_back(folder / bad.name);
    expect_error<FileError>([&] { data::load_idx(folder.write(bad.name, bad.content), 10000); },
                            facts);
  }
}

TEST(Idx, ReadsEveryElementType) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& content) {
    return data::load_idx(folder.write("a", content));
  };
  EXPECT_EQ(read(six), Tensor::of<uint8_t>({2, 3}, {1, 2, 3, 4, 5, 255}));
  EXPECT_EQ(read(bytes({0, 0, 9, 1, 0, 0, 0, 2, 1, 255})), Tensor::of<int32_t>({2}, {1, -1}));
  EXPECT_EQ(read(bytes({0, 0, 11, 1, 0, 0, 0, 2, 1, 2, 255, 254})),
            Tensor::of<int32_t>({2}, {258, -2}));
  EXPECT_EQ(read(bytes({0, 0, 12, 1, 0, 0, 0, 1, 1, 2, 3, 4})),
            Tensor::of<int32_t>({1}, {16909060}));
  EXPECT_EQ(read(bytes({0, 0, 13, 1, 0, 0, 0, 1, 0xC0, 0x20, 0, 0})), Tensor::of({1}, {-2.5f}));
  EXPECT_EQ(read(bytes({0, 0, 14, 1, 0, 0, 0, 1, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0})),
            Tensor::of<double>({1}, {1.5}));
  EXPECT_EQ(read(bytes({0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3})), Tensor({0, 3}, u8));
}

TEST(Idx, SurvivesRandomDamage) {
  const auto read = [](const std::string& path) { data::load_idx(path, 1 << 20); };
  EXPECT_GT(refused_after_damage(six, 1500, read), 500);
}

TEST(Idx, RefusesMalformedFiles) {
  const std::string zeros(1 << 20, '\0');
  const std::vector<BadFile> cases = {
      {"empty", "", {"0 bytes", "header"}},
      {"three", bytes({0, 0, 8}), {"3 bytes"}},
      {"magic", "PK\3\4 and so on", {"80 75", "instead of 0 0"}},
      {"type", bytes({0, 0, 10, 1, 0, 0, 0, 0}), {"element type is 10"}},
      {"rank0", bytes({0, 0, 8, 0, 7}), {"0 axes"}},
      {"rank9", bytes({0, 0, 8, 9}) + std::string(36, '\0'), {"9 axes"}},
      {"header", bytes({0, 0, 8, 2, 0, 0, 0, 1}), {"inside the header of 12"}},
      {"short", six.substr(0, 17), {"[2, 3]", "needs 6 bytes", "5 follow", "cut off"}},
      {"long", six + "x", {"needs 6 bytes", "7 follow", "too long"}},
      {"huge",
       bytes({0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255, 1}),
       {"[4294967295, 4294967295]", "cut off"}},
      {"overflow",
       bytes({0, 0, 14, 3}) + std::string(12, '\xff') + "x",
       {"more bytes than can be counted"}},
      {"zero",
       bytes({0, 0, 14, 4, 0, 0, 0, 0}) + std::string(12, '\xff'),
       {"more bytes than can be counted"}},
      {"big", zeros, {"1048576 bytes", "limit of 10000"}},
  };
  expect_refused(cases);
  const TemporaryFolder folder;
  EXPECT_ERROR(FileError, data::load_idx(folder / "none"), "none", "No such file");
}

#ifdef SOMA_ZLIB

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Gzip, IsKnownByItsBytes) {
  const TemporaryFolder folder;
  const Tensor expected = data::load_idx(folder.write("plain.gz", six));
  EXPECT_EQ(data::load_idx(folder.write("packed", gzip(six))), expected);
  EXPECT_EQ(data::load_idx(folder.write("members", gzip(six.substr(0, 5)) + gzip(six.substr(5)))),
            expected);
  EXPECT_EQ(data::load_idx(folder / "packed", 100), expected);
}

TEST(Gzip, SurvivesRandomDamage) {
  const auto read = [](const std::string& path) { data::load_idx(path, 1 << 20); };
  EXPECT_GT(refused_after_damage(gzip(six), 1500, read), 500);
}

TEST(Gzip, RefusesDamagedFilesAndBombs) {
  const std::string packed = gzip(six);
  std::string broken = packed;
  broken[broken.size() - 6] ^= 1;  // the checksum
  const std::string zeros(1 << 20, '\0');
  expect_refused({
      {"gz-cut", packed.substr(0, packed.size() - 9), {"damaged gzip", "cut off"}},
      {"gz-magic", bytes({0x1f, 0x8b}), {"damaged gzip", "cut off"}},
      {"gz-sum", broken, {"damaged gzip", "incorrect"}},
      {"gz-tail", packed + "tail", {"damaged gzip"}},
      {"gz-bomb", gzip(zeros), {"more than the limit of 10000 bytes"}},
  });
}

#else

TEST(Gzip, IsNamedWhenItCannotBeRead) {
  expect_refused({{"packed", "\x1f\x8b and more", {"compressed with gzip", "SOMA_ZLIB=ON"}}});
}

#endif

}  // namespace
}  // namespace soma
