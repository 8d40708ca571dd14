#include "tests/onnx/case.h"

#include <algorithm>
#include <cstring>
#include <protozero/pbf_reader.hpp>

#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/text.h"
#include "src/io/half.h"

namespace soma::onnx {

namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

// A value that Soma cannot hold: the case is set aside with this reason.
struct Unreadable {
  std::string what;
};

// Repeated numbers come one by one or packed; `one` and `packed` read the field the message is at.
template <class T, class One, class Packed>
void append(std::vector<T>& list, pbf_reader& message, One one, Packed packed) {
  if (message.wire_type() != pbf_wire_type::length_delimited) {
    list.push_back(static_cast<T>(one(message)));
    return;
  }
  for (const auto value : packed(message)) list.push_back(static_cast<T>(value));
}
void append_integers(std::vector<int64_t>& list, pbf_reader& message) {
  append(
      list, message, [](pbf_reader& m) { return m.get_int64(); },
      [](pbf_reader& m) { return m.get_packed_int64(); });
}
template <class T>
void append_floats(std::vector<T>& list, pbf_reader& message) {
  append(
      list, message, [](pbf_reader& m) { return m.get_float(); },
      [](pbf_reader& m) { return m.get_packed_float(); });
}

// ---- arrays

// TensorProto.DataType, and how the numbers of each type are held here.
enum Type {
  FLOAT = 1,
  UINT8,
  INT8,
  UINT16,
  INT16,
  INT32,
  INT64,
  STRING,
  BOOL,
  FLOAT16,
  DOUBLE,
  UINT32,
  UINT64,
  COMPLEX64,
  COMPLEX128,
  BFLOAT16
};

DType held_as(int type) {
  switch (type) {
    case FLOAT:
    case FLOAT16:
    case BFLOAT16: return f32;
    case DOUBLE: return f64;
    case UINT8: return u8;
    case BOOL: return boolean;
    case INT8:
    case UINT16:
    case INT16:
    case INT32: return i32;
    case UINT32:
    case INT64:
    case UINT64: return i64;
    case STRING: throw Unreadable{"text"};
    case COMPLEX64:
    case COMPLEX128: throw Unreadable{"complex numbers"};
    default: throw ArgumentError(cat("the array has the unknown element type ", type));
  }
}

// The elements of raw_data, each of type From, converted by `convert`.
template <class From, class To, class Convert>
void unpack(std::string_view raw, std::span<To> out, Convert convert) {
  if (raw.size() != out.size() * sizeof(From)) {
    throw ArgumentError(
        cat("the array needs ", out.size() * sizeof(From), " bytes, found ", raw.size()));
  }
  for (size_t i = 0; i < out.size(); ++i) {
    From value;
    std::memcpy(&value, raw.data() + i * sizeof(From), sizeof(From));
    out[i] = convert(value);
  }
}
template <class From, class To>
void unpack(std::string_view raw, Tensor& tensor) {
  unpack<From>(raw, tensor.data<To>(), [](From value) { return static_cast<To>(value); });
}

void fill_from_bytes(Tensor& tensor, int type, std::string_view raw) {
  switch (type) {
    case FLOAT: return unpack<float, float>(raw, tensor);
    case FLOAT16: return unpack<uint16_t>(raw, tensor.data<float>(), from_f16);
    case BFLOAT16: return unpack<uint16_t>(raw, tensor.data<float>(), from_bf16);
    case DOUBLE: return unpack<double, double>(raw, tensor);
    case UINT8:
    case BOOL: return unpack<uint8_t, uint8_t>(raw, tensor);
    case INT8: return unpack<int8_t, int32_t>(raw, tensor);
    case UINT16: return unpack<uint16_t, int32_t>(raw, tensor);
    case INT16: return unpack<int16_t, int32_t>(raw, tensor);
    case INT32: return unpack<int32_t, int32_t>(raw, tensor);
    case UINT32: return unpack<uint32_t, int64_t>(raw, tensor);
    case INT64: return unpack<int64_t, int64_t>(raw, tensor);
    default: return unpack<uint64_t, int64_t>(raw, tensor);
  }
}

// From the typed fields: small types lie in int32_data, 16-bit floats as their bits.
template <class List>
void fill_from_list(Tensor& tensor, int type, const List& list) {
  if (list.size() != static_cast<size_t>(tensor.elements())) {
    throw ArgumentError(
        cat("the array needs ", tensor.elements(), " numbers, found ", list.size()));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const auto bits = [&] { return static_cast<uint16_t>(list[i]); };
    const double value = type == FLOAT16    ? from_f16(bits())
                         : type == BFLOAT16 ? from_bf16(bits())
                                            : static_cast<double>(list[i]);
    tensor.set(static_cast<int64_t>(i), value);
  }
}

struct NamedTensor {
  std::string name;
  int type = 0;
  Tensor value;
};

NamedTensor read_tensor(pbf_reader message) {
  NamedTensor result;
  std::vector<int64_t> dims, integers;
  std::vector<double> numbers;
  std::string raw;
  bool has_raw = false;
  while (message.next()) {
    switch (message.tag()) {
      case 1: append_integers(dims, message); break;
      case 2: result.type = message.get_int32(); break;
      case 4: append_floats(numbers, message); break;
      case 5:  // int32_data
      case 7:  // int64_data
      case 11: append_integers(integers, message); break;
      case 8: result.name = message.get_string(); break;
      case 9:
        raw = message.get_bytes();
        has_raw = true;
        break;
      case 10:
        append(
            numbers, message, [](pbf_reader& m) { return m.get_double(); },
            [](pbf_reader& m) { return m.get_packed_double(); });
        break;
      default: message.skip();
    }
  }
  result.value = Tensor(Dims(std::span<const int64_t>(dims)), held_as(result.type));
  if (has_raw) {
    fill_from_bytes(result.value, result.type, raw);
  } else if (result.type == FLOAT || result.type == DOUBLE) {
    fill_from_list(result.value, result.type, numbers);
  } else {
    fill_from_list(result.value, result.type, integers);
  }
  return result;
}

// ---- the model

Attribute read_attribute(pbf_reader message, std::string& name) {
  Attribute result;
  while (message.next()) {
    switch (message.tag()) {
      case 1: name = message.get_string(); break;
      case 2: result.number = static_cast<double>(message.get_float()); break;
      case 3: result.integer = message.get_int64(); break;
      case 4: result.text = message.get_string(); break;
      case 5: result.tensor = read_tensor(message.get_message()).value; break;
      case 6: throw Unreadable{"a graph inside the node"};
      case 7: append_floats(result.numbers, message); break;
      case 8: append_integers(result.integers, message); break;
      case 9: result.texts.push_back(message.get_string()); break;
      default: message.skip();
    }
  }
  return result;
}

Node read_node(pbf_reader message) {
  Node result;
  while (message.next()) {
    switch (message.tag()) {
      case 1: result.inputs.push_back(message.get_string()); break;
      case 2: result.outputs.push_back(message.get_string()); break;
      case 4: result.op = message.get_string(); break;
      case 5: {
        std::string name;
        Attribute attribute = read_attribute(message.get_message(), name);
        result.attributes[name] = std::move(attribute);
        break;
      }
      default: message.skip();
    }
  }
  return result;
}

// TypeProto of a tensor.
int element_type(pbf_reader type) {
  int result = 0;
  while (type.next()) {
    if (type.tag() == 4 || type.tag() == 9) throw Unreadable{"sequences and optional values"};
    if (type.tag() != 1) {
      type.skip();
      continue;
    }
    pbf_reader tensor = type.get_message();
    while (tensor.next()) {
      if (tensor.tag() == 1) {
        result = tensor.get_int32();
      } else {
        tensor.skip();
      }
    }
  }
  return result;
}

// ValueInfoProto: the name; only tensors can be read.
std::string read_value_name(pbf_reader message, Case& result) {
  std::string name;
  bool bf16 = false;
  while (message.next()) {
    if (message.tag() == 1) {
      name = message.get_string();
    } else if (message.tag() == 2) {
      bf16 = element_type(message.get_message()) == BFLOAT16;
    } else {
      message.skip();
    }
  }
  if (bf16) result.halves.insert(name);
  return name;
}

void read_graph(pbf_reader message, Case& result) {
  while (message.next()) {
    switch (message.tag()) {
      case 1: result.nodes.push_back(read_node(message.get_message())); break;
      case 5: {
        NamedTensor tensor = read_tensor(message.get_message());
        result.initializers[tensor.name] = std::move(tensor.value);
        break;
      }
      case 11: result.inputs.push_back(read_value_name(message.get_message(), result)); break;
      case 12: result.outputs.push_back(read_value_name(message.get_message(), result)); break;
      default: message.skip();
    }
  }
  std::erase_if(result.inputs,
                [&](const std::string& name) { return result.initializers.count(name) != 0; });
}

void read_model(const std::string& bytes, Case& result) {
  pbf_reader message(bytes);
  while (message.next()) {
    if (message.tag() == 7) {
      read_graph(message.get_message(), result);
    } else if (message.tag() == 8) {
      pbf_reader opset = message.get_message();
      while (opset.next()) {
        if (opset.tag() == 2) {
          result.opset = std::max(result.opset, opset.get_int64());
        } else {
          opset.skip();
        }
      }
    } else {
      message.skip();
    }
  }
}

// The op types, even of a graph whose values cannot be read.
void read_op_types(const std::string& bytes, Case& result) {
  pbf_reader model(bytes);
  while (model.next(7)) {
    pbf_reader graph = model.get_message();
    while (graph.next(1)) {
      pbf_reader node = graph.get_message();
      while (node.next(4)) result.nodes.push_back({node.get_string(), {}, {}, {}});
    }
  }
}

Tensor from_bits(const Tensor& bits) {
  Tensor result(bits.shape(), f32);
  for (int64_t i = 0; i < bits.elements(); ++i) {
    result.set(i, from_bf16(static_cast<uint16_t>(bits.at(i))));
  }
  return result;
}

void read_data(const std::filesystem::path& folder, std::string_view kind,
               const std::vector<std::string>& names, Case& result, Tensors& data) {
  for (size_t i = 0; i < names.size(); ++i) {
    const std::filesystem::path path = folder / cat(kind, "_", i, ".pb");
    if (!std::filesystem::exists(path)) continue;
    const std::string bytes = read_text(path.string());
    NamedTensor tensor = read_tensor(pbf_reader(bytes));
    if (tensor.type == UINT16 && result.halves.count(names[i]) != 0) {  // the bits of bfloat16
      tensor.value = from_bits(tensor.value);
    }
    if (tensor.type == FLOAT16) result.halves.insert(names[i]);
    if (result.halves.count(names[i]) != 0) result.tolerance = 1e-3;
    data[names[i]] = std::move(tensor.value);
  }
}

}  // namespace

Case read_case(const std::filesystem::path& root, const std::string& name) {
  Case result;
  result.name = name;
  const std::string bytes = read_text((root / name / "model.onnx").string());
  try {
    read_model(bytes, result);
    const std::filesystem::path folder = root / name / "test_data_set_0";
    read_data(folder, "input", result.inputs, result, result.given);
    read_data(folder, "output", result.outputs, result, result.wanted);
  } catch (const Unreadable& reason) {
    result.nodes.clear();
    read_op_types(bytes, result);
    result.unreadable = reason.what;
  }
  return result;
}

std::vector<std::string> list_cases(const std::filesystem::path& root) {
  std::vector<std::string> result;
  for (const auto& collection : std::filesystem::directory_iterator(root)) {
    for (const auto& folder : std::filesystem::directory_iterator(collection)) {
      if (!std::filesystem::exists(folder.path() / "model.onnx")) continue;
      result.push_back((collection.path().filename() / folder.path().filename()).string());
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace soma::onnx
