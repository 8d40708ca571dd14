// Why an event parser: the usual one drops duplicate keys in silence, and a tree of a 100 MB header
// would cost gigabytes. Nothing here recurses, so depth cannot exhaust the stack.
#include "src/io/safetensors_header.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma::io {

namespace {

using Json = nlohmann::json;

class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(const std::string& path, SafetensorsHeader& header) : path_(path), header_(header) {}

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::outside: return go(Place::top);
      case Place::tensor_value: return go(Place::tensor);
      case Place::metadata_value: return go(Place::metadata);
      default: return unexpected("an object");
    }
  }

  bool key(string_t& text) override {
    if (place_ == Place::top) return open(text);
    key_ = text;
    if (place_ == Place::metadata) {
      if (header_.metadata.contains(text)) fail(cat("the metadata names \"", text, "\" twice"));
      return go(Place::metadata_text);
    }
    if (!keys_.insert(text).second) fail(cat(entry(), " has two \"", text, "\""));
    if (text == "dtype") return go(Place::type);
    if (text == "shape") return go(Place::shape);
    if (text == "data_offsets") return go(Place::offsets);
    fail(cat(entry(), " has the unknown key \"", text, "\""));
  }

  bool string(string_t& text) override {
    if (place_ == Place::metadata_text) {
      header_.metadata.emplace(key_, std::move(text));
      return go(Place::metadata);
    }
    if (place_ != Place::type) return unexpected("text");
    header_.entries.back().type = std::move(text);
    return go(Place::tensor);
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::shape) return go(Place::shape_list);
    if (place_ == Place::offsets) return go(Place::offsets_list);
    return unexpected("a list");
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::shape_list && place_ != Place::offsets_list)
      return unexpected(std::to_string(value));
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      fail(cat(entry(), ": the number ", value, " in \"", key_, "\" is absurdly large"));
    }
    auto& list = place_ == Place::shape_list ? header_.entries.back().shape : offsets_;
    if (list.size() == Shape::max_size) {
      fail(cat(entry(), " has more than ", Shape::max_size, " numbers in \"", key_, "\""));
    }
    list.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets_list) {
      if (offsets_.size() != 2)
        fail(cat(entry(), " needs two data_offsets, not ", offsets_.size()));
      header_.entries.back().begin = offsets_[0];
      header_.entries.back().end = offsets_[1];
    }
    return go(Place::tensor);
  }

  bool end_object() override {
    if (place_ == Place::top) return go(Place::done);
    if (place_ == Place::tensor) {
      for (const char* needed : {"dtype", "shape", "data_offsets"}) {
        if (!keys_.contains(needed)) fail(cat(entry(), " lacks \"", needed, "\""));
      }
    }
    return go(Place::top);
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool value) override { return unexpected(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return unexpected(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(text); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception&) override {
    fail(cat("the header is not valid JSON in UTF-8 at its byte ", position, " (after \"",
             std::string_view(token).substr(0, 40), "\")"));
  }

 private:
  /// Where in the header the next event is, hence what it may be.
  enum class Place {
    outside,
    top,
    metadata_value,
    metadata,
    metadata_text,
    tensor_value,
    tensor,
    type,
    shape,
    shape_list,
    offsets,
    offsets_list,
    done
  };

  bool go(Place place) {
    place_ = place;
    return true;
  }

  bool open(const std::string& name) {
    if (!names_.insert(name).second) fail(cat("the name \"", name, "\" occurs twice"));
    key_ = name;
    if (name == "__metadata__") return go(Place::metadata_value);
    header_.entries.emplace_back().name = name;
    keys_.clear();
    offsets_.clear();
    return go(Place::tensor_value);
  }

  std::string entry() const { return cat("tensor \"", header_.entries.back().name, "\""); }

  bool unexpected(std::string_view found) const {
    fail(cat("the header holds ", found, place_ == Place::outside ? "" : cat(" at \"", key_, "\""),
             ", where ", wanted(), " belongs"));
  }

  std::string_view wanted() const {
    switch (place_) {
      case Place::metadata_text: return "text (metadata is text by name)";
      case Place::type: return "the name of an element type";
      case Place::shape:
      case Place::offsets: return "a list of whole numbers";
      case Place::shape_list:
      case Place::offsets_list: return "a whole number of 0 or more";
      default: return "an object";
    }
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw FileError(cat("\"", path_, "\" is not a valid safetensors file: ", reason));
  }

  const std::string& path_;
  SafetensorsHeader& header_;
  Place place_ = Place::outside;
  std::string key_;
  std::set<std::string> names_;  // of tensors
  std::set<std::string> keys_;   // of the tensor being read
  std::vector<int64_t> offsets_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& path) {
  SafetensorsHeader header;
  HeaderReader reader(path, header);
  Json::sax_parse(json.begin(), json.end(), &reader);
  return header;
}

}  // namespace soma::io
