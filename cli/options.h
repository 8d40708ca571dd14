// What a command takes: flags, values and positional arguments, described without the parser, so
// that only parse.cc compiles CLI11.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace soma::cli {

/// A command line that cannot be understood: exit code 2. Failures of the work itself are
/// soma::Error and end with 1.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Need : bool { optional, required };

/// Each call binds one option to a variable, whose present value is the default; a number outside
/// its range stands for one that the command finds by itself.
class Options {
 public:
  virtual ~Options() = default;
  virtual void positional(const std::string& name, std::string& into, const std::string& help,
                          Need need = Need::required) = 0;
  /// Any number of them, behind the other positional ones.
  virtual void positionals(const std::string& name, std::vector<std::string>& into,
                           const std::string& help) = 0;
  virtual void text(const std::string& flag, std::string& into, const std::string& value,
                    const std::string& help) = 0;
  /// May be given several times.
  virtual void list(const std::string& flag, std::vector<std::string>& into,
                    const std::string& value, const std::string& help) = 0;
  virtual void flag(const std::string& flag, bool& into, const std::string& help) = 0;
  virtual void integer(const std::string& flag, int64_t& into, int64_t least, int64_t most,
                       const std::string& help) = 0;
  /// A finite number within [least, most].
  virtual void real(const std::string& flag, double& into, double least, double most,
                    const std::string& help) = 0;
};

inline constexpr int64_t no_limit = std::numeric_limits<int64_t>::max();

/// The number in `text`; throws UsageError, naming the flag, for anything else.
int64_t to_integer(std::string_view flag, std::string_view text, int64_t least, int64_t most);
double to_real(std::string_view flag, std::string_view text, double least, double most);

/// Reads the arguments after the command's name. Returns false when --help was asked for: `help`
/// then holds the text. Throws UsageError with a sentence for everything else that is wrong. When
/// `configure` (called with the target, once the arguments are known) answers true, it has set
/// options from elsewhere, and the arguments are read once more, above those.
bool parse_options(int count, char** arguments, std::string_view command, std::string_view summary,
                   std::string_view examples, void (*describe)(Options&, void*),
                   bool (*configure)(void*), void* target, std::string& help);

}  // namespace soma::cli
