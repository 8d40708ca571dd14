// The thread team: see team.h.
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

// A thread goes through the gate by adding one to it while it is open, and leaves by taking one
// off. Once closed, nobody enters; when it is closed and empty, the round is over.
constexpr uint32_t inside_mask = 0xfff, open_bit = 0x1000, round_step = 0x2000;

Team::Team(int threads)
    : size_(checked(threads)),
      // With more threads than cores, spinning would only keep the working thread from its core.
      spin_nanoseconds_(threads <= static_cast<int>(std::thread::hardware_concurrency()) ? 40'000
                                                                                         : 0),
      ranges_(new Range[static_cast<size_t>(size_)]) {
  threads_.reserve(static_cast<size_t>(threads - 1));
  for (int worker = 1; worker < threads; ++worker)
    threads_.emplace_back([this, worker] { work(worker); });
}

Team::~Team() {
  ends_.store(true);
  gate_.fetch_add(round_step);
  gate_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::run(int64_t chunks, Task* task, void* context) noexcept {
  if (size_ == 1 || chunks <= 1) {
    if (chunks > 0) task(context, 0, chunks, 0);
    return;
  }
  task_ = task;
  context_ = context;
  for (int worker = 0; worker < size_; ++worker) {
    Range& range = ranges_[static_cast<size_t>(worker)];
    range.next.store(chunk_begin(chunks, worker, size_), std::memory_order_relaxed);
    range.end = chunk_begin(chunks, worker + 1, size_);
  }
  gate_.fetch_add(round_step | open_bit);
  gate_.notify_all();
  take_chunks(0);
  gate_.fetch_sub(open_bit);
  for (;;) {
    const uint32_t left = left_.load(std::memory_order_acquire);
    if ((gate_.load(std::memory_order_acquire) & inside_mask) == 0) return;
    await_change(left_, left, spin_nanoseconds_);
  }
}

/// Takes a quarter of what is left at a time, of the own range first.
void Team::take_chunks(int worker) noexcept {
  for (int i = 0; i < size_; ++i) {
    Range& range = ranges_[static_cast<size_t>((worker + i) % size_)];
    for (int64_t begin = range.next.load(std::memory_order_relaxed); begin < range.end;) {
      const int64_t count = (range.end - begin + 3) / 4;
      if (!range.next.compare_exchange_weak(begin, begin + count, std::memory_order_relaxed))
        continue;
      task_(context_, begin, begin + count, worker);
      begin = range.next.load(std::memory_order_relaxed);
    }
  }
}

void Team::work(int worker) noexcept {
  uint32_t done = 0;  // the round this worker took part in
  for (;;) {
    uint32_t gate = gate_.load(std::memory_order_acquire);
    if (ends_.load(std::memory_order_acquire)) return;
    const uint32_t round = gate / round_step;
    if ((gate & open_bit) == 0 || round == done) {
      await_change(gate_, gate, spin_nanoseconds_);
      continue;
    }
    if (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) continue;
    done = round;
    take_chunks(worker);
    const uint32_t before = gate_.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & (open_bit | inside_mask)) == 1) {
      left_.fetch_add(1, std::memory_order_release);
      left_.notify_one();
    }
  }
}

}  // namespace soma
