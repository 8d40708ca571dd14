// The interrupt flag.
#include "cli/interrupt.h"

#include <time.h>

#include <csignal>
#include <cstring>

namespace soma::cli {
namespace {

volatile std::sig_atomic_t raised = 0;
volatile std::sig_atomic_t raised_at = 0;  // in milliseconds, which may overflow

/// One key press, or one `timeout`, may send a signal to the program and to its group: two within
/// this time are one.
constexpr unsigned together = 200;

extern "C" void raise_flag(int signal) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto milliseconds =
      static_cast<unsigned>(now.tv_sec) * 1000u + static_cast<unsigned>(now.tv_nsec / 1'000'000);
  if (raised != 0 && milliseconds - static_cast<unsigned>(raised_at) > together) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // ends the program when this handler is done
  }
  if (raised == 0) raised_at = static_cast<std::sig_atomic_t>(milliseconds);
  raised = 1;
}

}  // namespace

void catch_interrupt() {
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_handler = raise_flag;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return raised != 0; }

}  // namespace soma::cli
