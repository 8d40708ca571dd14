// Model files: writing a network into a safetensors container, and reading one that may be hostile.
#include "soma/model.h"

#include <concepts>
#include <nlohmann/json.hpp>
#include <utility>

#include "soma/error.h"
#include "soma/io.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/nn/structure.h"

namespace soma {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view format_name = "soma", format_version = "1";
constexpr size_t max_network_text = size_t{1} << 20;

// ---- ModelInfo as metadata: one list of the fields of each struct serves both directions

template <class F>
void fields(auto& info, F&& field) requires std::same_as<std::decay_t<decltype(info)>, ModelInfo> {
  field("class_names", info.class_names);
  field("table", info.table);
  field("input_scale", info.input_scale);
  field("input_shift", info.input_shift);
  field("dataset", info.dataset);
  field("loss", info.loss);
  field("training", info.training);
  field("notes", info.notes);
}
template <class F>
void fields(auto& table, F&& field) requires std::same_as<std::decay_t<decltype(table)>, Schema> {
  field("columns", table.columns);
  field("delimiter", table.delimiter);
  field("decimal", table.decimal);
  field("header", table.header);
  field("missing", table.missing);
  field("rows", table.rows);
  field("without_target", table.without_target);
}
template <class F>
void fields(auto& column, F&& field) requires std::same_as<std::decay_t<decltype(column)>, Column> {
  field("name", column.name);
  field("kind", column.kind);
  field("use", column.use);
  field("note", column.note);
  field("categories", column.categories);
  field("counts", column.counts);
  field("date", column.date);
  field("missing", column.missing);
  field("least", column.least);
  field("mean", column.mean);
  field("most", column.most);
}
template <class T>
concept HasFields = requires(T& value) {
  fields(value, [](const char*, auto&) {});
};
constexpr ColumnKind last_of(ColumnKind) { return ColumnKind::text; }
constexpr ColumnUse last_of(ColumnUse) { return ColumnUse::dropped; }

Json json_of(const std::vector<Column>& columns);
Json json_of(char c) { return std::string(1, c); }
template <class T>
Json json_of(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(name_of(value));
  } else if constexpr (HasFields<const T>) {
    Json object = Json::object();
    const T plain;
    fields(value, [&](const char* name, const auto& item) {
      bool is_default = false;  // those are left out
      fields(plain, [&](const char* other, const auto& fallback) {
        if constexpr (std::is_same_v<decltype(item), decltype(fallback)>) {
          is_default |= std::string_view(name) == other && item == fallback;
        }
      });
      if (!is_default) object[name] = json_of(item);
    });
    return object;
  } else {
    return value;
  }
}
Json json_of(const std::vector<Column>& columns) {
  Json list = Json::array();
  for (const Column& column : columns) list.push_back(json_of(column));
  return list;
}

void read_json(const Json& json, std::vector<Column>& columns);
void read_json(const Json& json, char& c) {
  const auto text = json.get<std::string>();
  if (text.size() != 1) throw FileError(cat("\"", excerpt(text), "\" is not one character"));
  c = text[0];
}
template <class T>
void read_json(const Json& json, T& value) {
  if constexpr (std::is_enum_v<T>) {
    const auto name = json.get<std::string>();
    for (int i = 0; i <= static_cast<int>(last_of(value)); ++i) {
      value = static_cast<T>(i);
      if (name_of(value) == name) return;
    }
    throw FileError(cat("\"", excerpt(name), "\" is no kind or use of a column"));
  } else if constexpr (HasFields<T>) {
    if (!json.is_object()) throw FileError("the \"info\" has something else than a JSON object");
    size_t known = 0;
    fields(value, [&](const char* name, auto& item) {
      const auto found = json.find(name);
      if (found == json.end()) return;
      ++known;
      try {
        read_json(*found, item);
      } catch (const Json::exception&) {
        throw FileError(cat("the \"", name, "\" of the model is of the wrong type"));
      }
    });
    if (known != json.size()) throw FileError("the \"info\" has entries that are not known");
  } else {
    json.get_to(value);
  }
}
void read_json(const Json& json, std::vector<Column>& columns) {
  for (const Json& item : json.get<std::vector<Json>>()) read_json(item, columns.emplace_back());
}

std::string info_text(const ModelInfo& info) {
  try {
    return json_of(info).dump();
  } catch (const Json::exception&) {
    throw ArgumentError("the information about a model must be UTF-8 text and finite numbers");
  }
}

ModelInfo parse_info(const std::string& text) {
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) throw FileError("the \"info\" is no JSON object");
  ModelInfo info;
  read_json(root, info);
  return info;
}

// ---- reading with checks

const std::string& entry(const Container& file, const char* key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    throw FileError(cat("this is no Soma model: its metadata has no \"", key, "\""));
  }
  return found->second;
}

/// The arrays of the file must be exactly those that the inputs of the graph name.
void check_tensors(const Graph& graph, const Tensors& tensors) {
  std::vector<std::string> names;
  for (const Id id : graph.inputs()) {
    const auto& input = graph[id].as<InputAttr>();
    if (input.kind == InputKind::data) continue;
    names.push_back(input.name);
    const auto found = tensors.find(input.name);
    if (found == tensors.end()) {
      throw FileError(
          cat("the tensor \"", input.name, "\" ", input.type, input.shape, " is missing"));
    }
    const Tensor& tensor = found->second;
    if (tensor.shape() != input.shape || tensor.type() != input.type) {
      throw FileError(cat("the tensor \"", input.name, "\" is ", tensor.type(), tensor.shape(),
                          ", but the network needs ", input.type, input.shape));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw FileError(cat("the network has no tensor \"", excerpt(name), "\"",
                          did_you_mean(excerpt(name), names)));
    }
  }
}

struct Contents {
  Tensors tensors;
  ModelInfo info;
  std::string network, graph;
};

Contents read_contents(const std::string& path) {
  Container file = read_safetensors(path);
  if (entry(file, "format") != format_name) {
    throw FileError(
        cat("this is no Soma model: its format is \"", excerpt(entry(file, "format")), "\""));
  }
  if (entry(file, "version") != format_version) {
    throw FileError(cat("the model has version ", excerpt(entry(file, "version")),
                        "; this program reads version ", format_version));
  }
  Contents contents;
  for (auto& [name, tensor] : file.tensors) contents.tensors.emplace(name, std::move(tensor));
  if (weights_sha256(contents.tensors) != entry(file, "weights_sha256")) {
    throw FileError("the weights are not those that were saved: their SHA-256 differs");
  }
  contents.info = parse_info(entry(file, "info"));
  contents.network = entry(file, "network");
  contents.graph = entry(file, "graph");
  return contents;
}

void check_info(const ModelInfo& info, const Shape& sample) {
  const auto inputs = static_cast<int64_t>(info.table.inputs().size());
  if (inputs > 0 && (sample.rank() == 0 || inputs != sample[sample.rank() - 1])) {  // of each step
    throw FileError(cat("the table has ", inputs, " inputs, but a sample is ", sample));
  }
}

/// Puts the path in front of what is thrown about a file's content.
template <class F>
auto about(const std::string& path, F&& read) {
  try {
    return read();
  } catch (const Error& error) {
    const std::string_view what = error.what();
    if (what.find(path) != what.npos) throw FileError(std::string(what));
    throw FileError(cat("\"", path, "\": ", what));
  }
}

}  // namespace

/// Builds the network of a file whose arrays exist already: nothing is allocated that the file did
/// not bring.
class NetworkFile {
 public:
  static Network join(const std::string& text, Tensors tensors) {
    if (text.size() > max_network_text) {
      throw FileError(cat("the text of the network has ", text.size(), " bytes; at most ",
                          max_network_text, " are read"));
    }
    Network network(parse_network(text, {}, {}), Network::WithoutTensors{});
    check_tensors(network.inference_graph(1), tensors);
    network.tensors_ = std::move(tensors);
    network.fresh_ = false;
    network.count_pruned();
    return network;
  }
};

void save(const Network& network, const std::string& path, const ModelInfo& info) {
  Container file;
  for (const auto& [name, tensor] : network.tensors()) file.tensors.emplace(name, tensor);
  file.metadata = {{"format", std::string(format_name)},
                   {"version", std::string(format_version)},
                   {"network", network.text()},
                   {"graph", print(network.inference_graph(1))},
                   {"weights_sha256", weights_sha256(network)},
                   {"info", info_text(info)}};
  write_safetensors(path, file);
}

Model load_model(const std::string& path) {
  return about(path, [&] {
    Contents contents = read_contents(path);
    Network network = NetworkFile::join(contents.network, std::move(contents.tensors));
    check_tensors(parse(contents.graph), network.tensors());
    check_info(contents.info, network.sample_shape());
    return Model{std::move(network), std::move(contents.info)};
  });
}

Network load(const std::string& path) { return load_model(path).network; }

ModelProgram load_program(const std::string& path) {
  return about(path, [&] {
    Contents contents = read_contents(path);
    Graph graph = parse(contents.graph);
    check_tensors(graph, contents.tensors);
    graph.find_input("input");
    graph.output_id("output");
    return ModelProgram{std::move(graph), std::move(contents.tensors), std::move(contents.info)};
  });
}

std::string weights_sha256(const Tensors& tensors) {
  Sha256 digest;
  for (const auto& [name, tensor] : tensors) {
    const std::string head = cat(name, " ", tensor.type(), tensor.shape(), "\n");
    digest.update(std::as_bytes(std::span(head.data(), head.size())));
    digest.update(std::span(tensor.raw(), tensor.bytes()));
  }
  return digest.hex();
}

std::string weights_sha256(const Network& network) { return weights_sha256(network.tensors()); }

}  // namespace soma
