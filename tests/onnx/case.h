// ONNX's backend test cases as they lie on the disk: a model of one or more nodes, and the arrays
// that go in and must come out. The formats are protocol buffers (onnx.proto of ONNX 1.12).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "soma/plan.h"

namespace soma::onnx {

/// What an attribute may hold; only the fields of its type are set.
struct Attribute {
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<std::string> texts;
  std::vector<int64_t> integers;
  std::vector<double> numbers;
  Tensor tensor;
};

struct Node {
  std::string op;
  std::vector<std::string> inputs, outputs;  ///< "" where an optional one is left out.
  std::map<std::string, Attribute, std::less<>> attributes;
};

struct Case {
  std::string name;  ///< The folder: "node/test_abs".
  int64_t opset = 0;
  std::vector<Node> nodes;
  Tensors initializers;
  std::vector<std::string> inputs, outputs;  ///< Of the graph, without the initializers.
  Tensors given, wanted;                     ///< The first data set.
  std::set<std::string> halves;              ///< Which of them are 16-bit floats, read as f32.
  double tolerance = 1e-4;                   ///< Relative; larger where there are any.
  /// What Soma has no type for ("text", "sequences"); empty when everything could be read.
  std::string unreadable;
};

/// Numbers of types that Soma lacks become the next wider one it has: float16 and bfloat16 → f32,
/// int8, int16 and uint16 → i32, uint32 and uint64 → i64. Throws std::exception for a damaged file.
Case read_case(const std::filesystem::path& root, const std::string& name);

/// The folders of cases below `root`, as "node/test_abs", in alphabetical order.
std::vector<std::string> list_cases(const std::filesystem::path& root);

}  // namespace soma::onnx
