// What the examples share: every claim they print is checked, and a false one makes the program
// fail.
#pragma once

#include <fstream>
#include <iostream>
#include <string>

namespace example {

inline int failures = 0;

/// Says the claim, and whether it holds.
inline void check(bool holds, const std::string& claim) {
  std::cout << (holds ? "  checked: " : "  NOT SO: ") << claim << '\n';
  failures += !holds;
}

/// The folder for files: the first argument, or the current one.
inline std::string folder(int count, char** arguments) {
  return count > 1 ? std::string(arguments[1]) + '/' : std::string();
}

inline void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  check(file.good() && !text.empty(), "wrote " + path);
}

}  // namespace example
