#include "src/data/class_folders.h"

#include <algorithm>
#include <filesystem>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma::data {

namespace fs = std::filesystem;

namespace {

std::string name_of(const std::string& path) { return fs::path(path).filename().string(); }

[[noreturn]] void fail(const std::string& folder, const std::string& reason) {
  throw FileError(cat("the folder \"", folder, "\" ", reason));
}

int32_t label_of(const std::string& folder, const std::vector<std::string>& class_names) {
  const std::string name = name_of(folder);
  const auto found = std::ranges::find(class_names, name);
  if (found == class_names.end()) {
    fail(folder,
         cat("is of the class \"", name, "\", which the model does not know",
             did_you_mean(name, class_names), "; its classes are ", join(class_names, ", ")));
  }
  return static_cast<int32_t>(found - class_names.begin());
}

}  // namespace

std::vector<std::string> entries(const std::string& folder, bool folders) {
  std::vector<std::string> result;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const bool right = folders ? it->is_directory(ignored) : it->is_regular_file(ignored);
    if (right && !it->path().filename().string().starts_with('.')) {
      result.push_back(it->path().string());
    }
  }
  if (error) fail(folder, cat("cannot be read: ", error.message()));
  std::ranges::sort(result);
  return result;
}

ClassFiles class_files(const std::string& folder, const std::vector<std::string>& class_names,
                       const std::string& what,
                       const std::function<bool(const std::string& path)>& wanted) {
  const std::vector<std::string> folders = entries(folder, true);
  ClassFiles result;
  result.class_names = class_names;
  if (class_names.empty()) {
    if (folders.size() < 2) {
      fail(folder, cat("holds ", folders.size(), folders.size() == 1 ? " folder" : " folders",
                       "; a set of ", what,
                       "s to learn from is one folder for each class, of at "
                       "least two classes, with its ",
                       what, "s inside"));
    }
    for (const std::string& path : folders) result.class_names.push_back(name_of(path));
  }
  for (const std::string& path : folders) {
    const int32_t label = label_of(path, result.class_names);
    const size_t before = result.paths.size();
    for (std::string& file : entries(path, false)) {
      if (wanted(file)) result.paths.push_back(std::move(file));
    }
    if (result.paths.size() == before) fail(path, cat("holds no ", what, " that Soma reads"));
    result.labels.resize(result.paths.size(), label);
  }
  if (result.paths.empty()) fail(folder, cat("holds no ", what));
  return result;
}

std::vector<std::string> part_folders(const std::string& folder) {
  const std::string train = (fs::path(folder) / "train").string();
  std::error_code ignored;
  if (!fs::is_directory(train, ignored)) return {folder};
  for (const char* name : {"test", "val", "valid", "validation"}) {
    const std::string test = (fs::path(folder) / name).string();
    if (fs::is_directory(test, ignored)) return {train, test};
  }
  return {folder};
}

}  // namespace soma::data
