// Files with a checksum, and which of them stay.
#include "src/train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "soma/error.h"
#include "src/base/file.h"
#include "src/base/sha256.h"
#include "src/base/text.h"

namespace soma::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "step-", suffix = ".checkpoint";
constexpr const char* checksum_key = "sha256";

/// Over names, types, shapes, bytes and metadata, but for the checksum itself.
std::string checksum_of(const Container& checkpoint) {
  Sha256 digest;
  const auto add = [&](const std::string& text) {
    digest.update(std::as_bytes(std::span(text.data(), text.size())));
  };
  for (const auto& [key, value] : checkpoint.metadata) {
    if (key != checksum_key) add(cat(key.size(), " ", key, value.size(), " ", value));
  }
  for (const auto& [name, tensor] : checkpoint.tensors) {
    add(cat(name.size(), " ", name, tensor.type(), tensor.shape()));
    digest.update({tensor.raw(), tensor.bytes()});
  }
  return digest.hex();
}

/// The number in "step-00000100.checkpoint"; -1 for any other name.
int64_t steps_in(std::string_view name) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return -1;
  name.remove_prefix(prefix.size());
  name.remove_suffix(std::min(suffix.size(), name.size()));
  int64_t steps = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), steps);
  return error == std::errc{} && end == name.data() + name.size() ? steps : -1;
}

}  // namespace

void write_checkpoint(const std::string& path, Container checkpoint) {
  checkpoint.metadata["format"] = "soma checkpoint";
  checkpoint.metadata["version"] = "1";
  checkpoint.metadata[checksum_key] = checksum_of(checkpoint);
  write_safetensors(path, checkpoint);
}

Container read_checkpoint(const std::string& path) {
  Container checkpoint = read_safetensors(path);
  const auto entry = [&](const char* key) -> std::string {
    const auto found = checkpoint.metadata.find(key);
    return found == checkpoint.metadata.end() ? "" : found->second;
  };
  if (entry("format") != "soma checkpoint") {
    throw FileError(cat("\"", path, "\" is no checkpoint: its format is \"",
                        excerpt(entry("format")), "\", not \"soma checkpoint\""));
  }
  if (entry("version") != "1") {
    throw FileError(cat("the checkpoint \"", path, "\" has version ", excerpt(entry("version")),
                        "; this program reads version 1"));
  }
  if (entry(checksum_key) != checksum_of(checkpoint)) {
    throw FileError(cat("the checkpoint \"", path, "\" is damaged: its checksum differs"));
  }
  return checkpoint;
}

CheckpointFolder::CheckpointFolder(std::string path) : path_(std::move(path)) {
  make_folder(path_);
  remove_temporaries(path_);
}

std::string CheckpointFolder::path_of(int64_t steps) const {
  const std::string digits = cat(steps);
  const std::string zeros(8 - std::min<size_t>(8, digits.size()), '0');
  return (fs::path(path_) / cat(prefix, zeros, digits, suffix)).string();
}

std::vector<int64_t> CheckpointFolder::steps() const {
  std::vector<int64_t> all;
  for (const auto& file : fs::directory_iterator(path_)) {
    const int64_t steps = steps_in(file.path().filename().string());
    if (steps >= 0) all.push_back(steps);
  }
  std::ranges::sort(all);
  return all;
}

void CheckpointFolder::clean(int64_t present, int last, const std::set<int64_t>& best) const {
  const std::vector<int64_t> all = steps();
  int newer = 0;
  for (size_t i = all.size(); i-- > 0;) {
    const bool future = all[i] > present;
    if (!future && newer++ < last) continue;
    if (!future && best.count(all[i]) > 0) continue;
    std::error_code ignored;  // one file too many does no harm
    fs::remove(path_of(all[i]), ignored);
  }
}

}  // namespace soma::train
