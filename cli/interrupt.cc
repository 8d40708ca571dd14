// The interrupt flag.
#include "cli/interrupt.h"

#include <csignal>
#include <cstring>

namespace soma::cli {
namespace {

volatile std::sig_atomic_t raised = 0;

extern "C" void raise_flag(int) { raised = 1; }

}  // namespace

void catch_interrupt() {
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_handler = raise_flag;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return raised != 0; }

}  // namespace soma::cli
