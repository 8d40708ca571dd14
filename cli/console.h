// Where the program writes: results and JSON lines to standard output, the moving progress line to
// a terminal only, errors to standard error. The library never prints; this is the one place that
// does.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace soma::cli {

class Console {
 public:
  Console(bool json, bool quiet);
  /// One that writes nothing at all: for work inside other work.
  static Console silent();

  bool json() const { return json_; }
  bool quiet() const { return quiet_; }
  /// True when standard output is a terminal and lines may be rewritten.
  bool terminal() const { return terminal_; }
  /// Columns of the terminal; 80 when unknown.
  int width() const;

  /// One line of standard output. Throws FileError when it cannot be written (a full disk); a
  /// reader that went away (`| head`) is no error: nothing more is written.
  void line(std::string_view text = "");
  /// Text without the end of a line: more of it follows.
  void part(std::string_view text);
  /// A line that --quiet and --json leave out.
  void note(std::string_view text);
  /// A sentence on standard error about something that went wrong and was dealt with.
  void warn(std::string_view text);
  /// One JSON object on a line of its own.
  void event(const nlohmann::ordered_json& object);
  /// Rewrites the last line of a terminal; nothing elsewhere.
  void status(std::string_view text);
  /// Removes the status line.
  void clear_status();

  /// Text in bold or dim where the terminal can and NO_COLOR (https://no-color.org) is not set.
  std::string bold(std::string_view text) const;
  std::string dim(std::string_view text) const;

 private:
  void write(std::string_view text);

  bool json_;
  bool quiet_;
  bool terminal_;
  bool color_;
  bool silent_ = false;
  bool status_shown_ = false;
  bool reader_gone_ = false;
};

/// Rows under a heading, columns padded to their widest cell. Columns of numbers, as the last row
/// shows, align to the right; the first column holds names.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// "soma: …" on standard error; with --json also {"event":"error","message":…} on standard output.
void report_error(std::string_view message, bool json);

}  // namespace soma::cli
