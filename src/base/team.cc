// The thread team: see team.h. One counter announces rounds, another counts who still works.
#include "src/base/team.h"

#include <chrono>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {
namespace {

void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns once `value` differs from `old`: spins for a while, then sleeps.
uint32_t await_change(const std::atomic<uint32_t>& value, uint32_t old, int64_t spin) noexcept {
  using Clock = std::chrono::steady_clock;
  uint32_t now = value.load(std::memory_order_acquire);
  if (now != old) return now;
  const auto limit = Clock::now() + std::chrono::nanoseconds(spin);
  do {
    for (int i = 0; i < 32; ++i) {
      now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      relax();
    }
  } while (Clock::now() < limit);
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

int checked(int threads) {
  if (threads < 1)
    throw ArgumentError(
        cat("A thread team needs at least one thread, got ", threads, "; pass 1 or more."));
  return threads;
}

}  // namespace

Team::Team(int threads)
    : size_(checked(threads)),
      // With more threads than cores, spinning would only keep the working thread from its core.
      spin_nanoseconds_(threads <= static_cast<int>(std::thread::hardware_concurrency()) ? 40'000
                                                                                         : 0) {
  threads_.reserve(static_cast<size_t>(threads - 1));
  for (int worker = 1; worker < threads; ++worker)
    threads_.emplace_back([this, worker] { work(worker); });
}

Team::~Team() {
  task_ = nullptr;
  round_.fetch_add(1);
  round_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::run(Task* task, void* context) noexcept {
  if (size_ > 1) {
    task_ = task;
    context_ = context;
    busy_.store(static_cast<uint32_t>(size_ - 1), std::memory_order_relaxed);
    round_.fetch_add(1);
    round_.notify_all();
  }
  task(context, 0);
  for (uint32_t busy = busy_.load(std::memory_order_acquire); busy != 0;)
    busy = await_change(busy_, busy, spin_nanoseconds_);
}

void Team::work(int worker) noexcept {
  for (uint32_t round = 0;;) {
    round = await_change(round_, round, spin_nanoseconds_);
    if (task_ == nullptr) return;
    task_(context_, worker);
    if (busy_.fetch_sub(1) == 1) busy_.notify_one();
  }
}

}  // namespace soma
