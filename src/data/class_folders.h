// A folder of folders, one for each class: what image and text sets have in common.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace soma::data {

struct ClassFiles {
  std::vector<std::string> class_names;
  std::vector<std::string> paths;  ///< Of all classes, in the order of classes and names.
  std::vector<int32_t> labels;     ///< One for each path.
};

/// The files of each class that `wanted` accepts. Classes are the folders in sorted order, or those
/// of `class_names`, to which all must belong. `what` ("image") is for messages. Throws FileError
/// for a folder that cannot be read or has fewer than two classes, and for a class without a file.
ClassFiles class_files(const std::string& folder, const std::vector<std::string>& class_names,
                       const std::string& what,
                       const std::function<bool(const std::string& path)>& wanted);

/// The parts that the folder is divided into: {train, test} where there are such folders, else the
/// folder alone.
std::vector<std::string> part_folders(const std::string& folder);

/// The folder's visible entries, sorted: its folders, or its files.
std::vector<std::string> entries(const std::string& folder, bool folders);

}  // namespace soma::data
