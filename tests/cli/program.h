// Runs the program `soma` as a shell would: arguments and standard input in, both outputs and the
// exit code out.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <filesystem>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

extern char** environ;

namespace soma {

inline std::string content_of(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) return "";  // a device may never end
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Finished {
  int code = -1;  ///< 128 + the signal where one ended the program.
  std::string out, err;

  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::istringstream stream(out);
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }
  /// Every line of standard output as JSON; throws when one is not.
  std::vector<nlohmann::json> json() const {
    std::vector<nlohmann::json> all;
    for (const auto& line : lines()) all.push_back(nlohmann::json::parse(line));
    return all;
  }
};

/// A program that runs, with its standard streams in files.
class Program {
 public:
  Program(std::vector<std::string> arguments, const std::string& input = "",
          const std::string& output_path = "") {
    const std::string in = folder_.write("in", input);
    out_ = output_path.empty() ? folder_ / "out" : output_path;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out_.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, (folder_ / "err").c_str(), O_WRONLY | O_CREAT,
                                     0600);
    arguments.insert(arguments.begin(), SOMA_PROGRAM);
    std::vector<char*> pointers;
    for (auto& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const int error = posix_spawn(&pid_, SOMA_PROGRAM, &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("cannot start " SOMA_PROGRAM);
  }
  void interrupt() const { kill(pid_, SIGINT); }
  void kill_at_once() const { kill(pid_, SIGKILL); }
  std::string output_so_far() const { return content_of(out_); }
  Finished wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    Finished run;
    run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    run.out = content_of(out_);
    run.err = content_of(folder_ / "err");
    return run;
  }

 private:
  TemporaryFolder folder_;
  std::string out_;
  pid_t pid_ = 0;
};

/// The event of the end; comparisons may follow.
inline nlohmann::json done_of(const Finished& run) {
  for (const auto& event : run.json()) {
    if (event["event"] == "done") return event;
  }
  return {};
}

inline Finished soma_run(std::vector<std::string> arguments, const std::string& input = "") {
  return Program(std::move(arguments), input).wait();
}

}  // namespace soma
