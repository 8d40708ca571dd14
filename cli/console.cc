// Writing to the terminal, to pipes and to files, with every failure noticed.
#include "cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

/// Bytes that are not UTF-8 (names of files) are replaced: the line stays valid JSON.
std::string compact(const nlohmann::ordered_json& object) {
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// Writes everything; returns 0 or the system's error number.
int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

/// Columns a terminal shows: bytes that continue a UTF-8 character do not count.
size_t columns(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

bool is_numeric(std::string_view cell) {
  return !cell.empty() && std::string_view("+-.0123456789").find(cell[0]) != std::string_view::npos;
}

}  // namespace

Console::Console(bool json, bool quiet)
    : json_(json),
      quiet_(quiet),
      terminal_(isatty(STDOUT_FILENO) == 1 && !json),
      color_(terminal_ && std::getenv("NO_COLOR") == nullptr) {}

Console Console::silent() {
  Console console(false, true);
  console.silent_ = true;
  console.terminal_ = false;
  return console;
}

int Console::width() const {
  winsize size{};
  const bool known = terminal_ && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

void Console::write(std::string_view text) {
  if (silent_ || reader_gone_) return;
  const int error = write_all(STDOUT_FILENO, text);
  if (error == EPIPE) {
    reader_gone_ = true;
  } else if (error != 0) {
    throw FileError(cat("cannot write to standard output: ", std::strerror(error)));
  }
}

void Console::line(std::string_view text) {
  clear_status();
  write(cat(text, '\n'));
}

void Console::part(std::string_view text) {
  clear_status();
  write(text);
}

void Console::note(std::string_view text) {
  if (!quiet_ && !json_) line(text);
}

void Console::warn(std::string_view text) {
  clear_status();
  if (!silent_) write_all(STDERR_FILENO, cat("soma: ", text, '\n'));
}

void Console::event(const nlohmann::ordered_json& object) { line(compact(object)); }

void Console::status(std::string_view text) {
  if (!terminal_ || quiet_) return;
  write(cat("\r\x1b[K", text));
  status_shown_ = true;
}

void Console::clear_status() {
  if (!status_shown_) return;
  write("\r\x1b[K");
  status_shown_ = false;
}

std::string Console::bold(std::string_view text) const {
  return color_ ? cat("\x1b[1m", text, "\x1b[0m") : std::string(text);
}
std::string Console::dim(std::string_view text) const {
  return color_ ? cat("\x1b[2m", text, "\x1b[0m") : std::string(text);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - columns(row[i]), ' ');
      const bool numbers = i > 0 && i < rows.back().size() && is_numeric(rows.back()[i]);
      line += numbers ? space + row[i] : row[i] + space;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  if (!text.empty()) text.pop_back();
  return text;
}

void report_error(std::string_view message, bool json) {
  write_all(STDERR_FILENO, cat("soma: ", message, '\n'));
  if (!json) return;
  nlohmann::ordered_json object;
  object["event"] = "error";
  object["message"] = std::string(message);
  write_all(STDOUT_FILENO, compact(object) + '\n');
}

}  // namespace soma::cli
