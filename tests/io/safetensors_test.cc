#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "soma/io.h"
#include "src/base/file.h"
#include "src/base/half.h"
#include "tests/damage.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

std::string file_of(const std::string& header, const std::string& data) {
  std::string text(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(text.data(), &length, 8);
  return text + header + data;
}

Container sample() {
  Container c;
  c.tensors.emplace("weights", Tensor::of({2, 3}, {1, -2, 3.5, 0, 1e30f, -0.0f}));
  c.tensors.emplace("a", Tensor::of<double>({1}, {0.1}));
  c.tensors.emplace("labels", Tensor::of<int32_t>({3}, {-1, 0, 7}));
  c.tensors.emplace("steps", Tensor::scalar(123456789012, i64));
  c.tensors.emplace("bytes", Tensor::of<uint8_t>({3}, {0, 128, 255}));
  c.tensors.emplace("mask", Tensor::of<bool>({2}, {true, false}));
  c.tensors.emplace("empty", Tensor({4, 0, 2}));
  c.tensors.emplace("tab\t\"quote\" \xC3\xA9", Tensor({1, 1, 1, 1, 1, 1, 1, 1}));
  c.metadata = {{"network", "dense(128, relu)\ndense(10)"}, {"", "\x01 \xE2\x82\xAC \\"}};
  return c;
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  for (const Container& container : {sample(), Container{}}) {
    write_safetensors(folder / "a", container);
    const Container back = read_safetensors(folder / "a");
    EXPECT_EQ(back.tensors, container.tensors);
    EXPECT_EQ(back.metadata, container.metadata);
  }
}

TEST(Safetensors, WritesTheSameBytesEachTimeAligned) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", sample());
  write_safetensors(folder / "b", sample());
  const std::string text = read_text(folder / "a");
  EXPECT_EQ(text, read_text(folder / "b"));
  uint64_t length = 0;
  std::memcpy(&length, text.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_LT(text.find("\"a\":"), text.find("\"steps\":"));
  EXPECT_LT(text.find("\"steps\":"), text.find("\"labels\":"));
  EXPECT_LT(text.find("\"weights\":"), text.find("\"bytes\":"));
}

TEST(Safetensors, WritesWhatTheFormatDescribes) {
  // Written by hand from the format's description; the largest alignment comes first.
  const std::string header = R"({"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  const TemporaryFolder folder;
  Container container;
  container.tensors.emplace("b", Tensor::of({1, 2}, {1, 2}));
  container.tensors.emplace("a", Tensor::of<uint8_t>({1}, {7}));
  write_safetensors(folder / "a", container);
  EXPECT_EQ(read_text(folder / "a"), file_of(padded, std::string("\0\0\x80\x3f\0\0\0\x40\x07", 9)));
}

TEST(Safetensors, ReadsHeadersOfOtherWriters) {
  const TemporaryFolder folder;
  const Container c = read_safetensors(
      folder.write("a", file_of(R"({ "y" : {"shape":[], "data_offsets":[1,5], "dtype":"F32"},
                        "x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                        "__metadata__":{"format":"pt"}}    )",
                                std::string("\x09\0\0\x80\xbf", 5))));
  EXPECT_EQ(c.tensors.at("y"), Tensor::of(Shape{}, {-1}));  // not aligned in the file
  EXPECT_EQ(c.tensors.at("x"), Tensor::of<uint8_t>({1}, {9}));
  EXPECT_EQ(c.metadata.at("format"), "pt");
}

TEST(Safetensors, WidensHalfPrecision) {
  const TemporaryFolder folder;
  const Container c = read_safetensors(
      folder.write("a", file_of(R"({"h":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},
                                   "b":{"dtype":"BF16","shape":[2],"data_offsets":[6,10]}})",
                                std::string("\x00\x3c\x00\xc5\xff\x7b\x80\x3f\x49\xc0", 10))));
  EXPECT_EQ(c.tensors.at("h"), Tensor::of({3}, {1, -5, 65504}));
  EXPECT_EQ(c.tensors.at("b"), Tensor::of({2}, {1, -3.140625}));
}

TEST(Half, IsExactForEveryValue) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const double fraction = bits & 1023;
    double expected =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) expected = std::numeric_limits<double>::infinity();
    if (bits >> 15) expected = -expected;
    const float value = from_f16(static_cast<uint16_t>(bits));
    if (exponent == 31 && fraction != 0) {
      EXPECT_TRUE(std::isnan(value)) << bits;
    } else {
      EXPECT_EQ(value, expected) << bits;
      EXPECT_EQ(std::signbit(value), bits >> 15 != 0);
    }
  }
}

std::string one(const std::string& fields) { return "{\"w\":{" + fields + "}}"; }
std::string typed(const std::string& type, const std::string& shape, const std::string& offsets) {
  return one("\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets);
}

struct BadFile {
  std::string name, content;
  std::vector<std::string> facts;
};

std::vector<BadFile> bad_structures() {
  const std::string good = typed("U8", "[4]", "[0,4]"), four = "abcd";
  const std::string fields = R"("dtype":"U8","shape":[4],"data_offsets":[0,4])";
  return {
      {"empty", "", {"0 bytes"}},
      {"seven", "\x01\0\0", {"less than the 8"}},
      {"length", std::string(8, '\xff'), {"18446744073709551615", "100000000"}},
      {"length-cut", file_of(good, "").substr(0, 20), {"12 follow", "cut off"}},
      {"no-brace", file_of(" " + good, four), {"does not begin with {"}},
      {"bom", file_of("\xEF\xBB\xBF" + good, four), {"does not begin with {"}},
      {"list", file_of("[]", ""), {"does not begin with {"}},
      {"none", file_of("", ""), {"does not begin with {"}},
      {"zero", file_of(good + std::string("\0}", 2), four), {"zero byte"}},
      {"json", file_of("{\"w\":", ""), {"not valid JSON"}},
      {"comment", file_of("{/* hi */}", ""), {"not valid JSON", "byte 2"}},
      {"after", file_of("{} {}", ""), {"not valid JSON"}},
      {"utf8", file_of("{\"w\xff\":1}", ""), {"UTF-8"}},
      {"surrogate", file_of("{\"\\ud800\":1}", ""), {"UTF-8"}},
      {"no-object", file_of("{\"w\":3}", ""), {"holds 3 at \"w\"", "an object belongs"}},
      {"null", file_of("{\"w\":null}", ""), {"holds null"}},
      {"deep", file_of("{\"w\":" + std::string(100000, '['), ""), {"holds a list", "\"w\""}},
      {"deep-shape", file_of(typed("U8", "[[4]]", "[0,4]"), four), {"a list at \"shape\""}},
      {"twice",
       file_of("{\"w\":{" + fields + "},\"w\":{" + fields + "}}", four),
       {"\"w\" occurs twice"}},
      {"key-twice", file_of(one(fields + ",\"shape\":[4]"), four), {"\"w\" has two \"shape\""}},
      {"lacks",
       file_of(one(R"("dtype":"U8","shape":[4])"), four),
       {"\"w\" lacks \"data_offsets\""}},
      {"unknown", file_of(one(fields + ",\"offsets\":[0,4]"), four), {"unknown key \"offsets\""}},
      {"meta-number",
       file_of(R"({"__metadata__":{"a":1}})", ""),
       {"1 at \"a\"", "metadata is text"}},
      {"meta-object", file_of(R"({"__metadata__":{"a":{}}})", ""), {"an object at \"a\""}},
      {"meta-twice", file_of(R"({"__metadata__":{"a":"","a":""}})", ""), {"names \"a\" twice"}},
      {"metas", file_of(R"({"__metadata__":{},"__metadata__":{}})", ""), {"__metadata__", "twice"}},
      {"negative", file_of(typed("U8", "[-4]", "[0,4]"), four), {"-4 at \"shape\""}},
      {"fraction", file_of(typed("U8", "[4.0]", "[0,4]"), four), {"4.0 at \"shape\""}},
      {"true", file_of(typed("U8", "[true]", "[0,4]"), four), {"true at \"shape\""}},
      {"type-number", file_of(one("\"dtype\":4"), four), {"4 at \"dtype\"", "element type"}},
      {"shape-text", file_of(typed("U8", "\"4\"", "[0,4]"), four), {"text at \"shape\"", "list"}},
      {"uint64", file_of(typed("U8", "[18446744073709551615]", "[0,4]"), four), {"absurdly large"}},
      {"axes", file_of(typed("U8", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), four), {"more than 8 numbers"}},
  };
}

std::vector<BadFile> bad_layouts() {
  const auto pair = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}";
  };
  return {
      {"type",
       file_of(typed("F8_E4M3", "[4]", "[0,4]"), "abcd"),
       {"\"w\"", "\"F8_E4M3\"", "BF16", "convert"}},
      {"type-case", file_of(typed("f32", "[1]", "[0,4]"), "abcd"), {"\"f32\"", "F32"}},
      {"one-offset", file_of(typed("U8", "[4]", "[0]"), "abcd"), {"two data_offsets, not 1"}},
      {"size",
       file_of(typed("F32", "[4]", "[0,4]"), "abcd"),
       {"\"w\"", "[4]", "16 bytes", "enclose 4"}},
      {"backwards", file_of(typed("U8", "[4]", "[4,0]"), "abcd"), {"\"w\"", "4 and 0"}},
      {"overflow",
       file_of(typed("F64", "[4294967296,4294967296]", "[0,0]"), ""),
       {"more than 2^63"}},
      {"zero-overflow",
       file_of(typed("F64", "[4294967296,4294967296,0]", "[0,0]"), ""),
       {"more than 2^63"}},
      {"overlap", file_of(pair("[0,2]", "[1,3]"), "abc"), {"\"b\"", "inside the one before"}},
      {"same", file_of(pair("[0,2]", "[0,2]"), "ab"), {"inside the one before", "ends at 2"}},
      {"hole", file_of(pair("[0,2]", "[3,5]"), "abcde"), {"\"b\"", "hole after byte 2"}},
      {"late", file_of(typed("U8", "[4]", "[1,5]"), "abcde"), {"\"w\" begins at byte 1", "hole"}},
      {"cut", file_of(typed("U8", "[4]", "[0,4]"), "abc"), {"need 4 bytes", "3 follow", "cut off"}},
      {"tail", file_of(typed("U8", "[4]", "[0,4]"), "abcde"), {"5 follow", "appended"}},
      {"bool",
       file_of(typed("BOOL", "[4]", "[0,4]"), std::string("\0\1\2\1", 4)),
       {"\"w\"", "other than 0 and 1"}},
  };
}

TEST(Safetensors, RefusesMalformedFiles) {
  const TemporaryFolder folder;
  for (const auto& list : {bad_structures(), bad_layouts()}) {
    for (const BadFile& bad : list) {
      SCOPED_TRACE(bad.name);
      std::vector<std::string> facts = bad.facts;
      facts.push_back(folder / bad.name);
      expect_error<FileError>([&] { read_safetensors(folder.write(bad.name, bad.content)); },
                              facts);
    }
  }
  EXPECT_ERROR(FileError, read_safetensors(folder / "missing"), "missing", "No such file");
}

TEST(Safetensors, SurvivesRandomDamage) {
  const TemporaryFolder folder;
  write_safetensors(folder / "good", sample());
  EXPECT_GT(refused_after_damage(read_text(folder / "good"), 1500, read_safetensors), 1000);
}

TEST(Safetensors, RefusesToWriteWhatItCouldNotRead) {
  const TemporaryFolder folder;
  Container container;
  container.tensors.emplace("__metadata__", Tensor({1}));
  EXPECT_ERROR(ArgumentError, write_safetensors(folder / "a", container), "__metadata__", "rename");
  container.tensors.clear();
  container.tensors.emplace("w\xff", Tensor({1}));
  EXPECT_ERROR(ArgumentError, write_safetensors(folder / "a", container), "UTF-8", "w");
  EXPECT_ERROR(FileError, write_safetensors(folder / "none/a", sample()), "none/a",
               "folder exists");
  EXPECT_EQ(folder.entries(), 0u);
}

}  // namespace
}  // namespace soma
