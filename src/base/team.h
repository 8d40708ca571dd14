// The thread team: a fixed set of threads that run one task at a time, for work measured in
// microseconds. Waiting threads spin briefly, because the next task of a plan is usually a
// microsecond away, and then sleep, because a team that idles must not burn a core.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace soma {

/// A team of `threads` workers; the calling thread is worker 0, so a team of one has no threads.
/// Only one thread at a time may call run(), and a task must not call run() on its own team.
class Team {
 public:
  using Task = void(void* context, int worker) noexcept;

  /// Throws ArgumentError when `threads` is below one.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  /// Calls `task(context, worker)` once on every worker and returns when all are done. What the
  /// caller wrote before is visible to the workers, and what they wrote is visible afterwards.
  /// Takes no lock and allocates nothing.
  void run(Task* task, void* context) noexcept;

 private:
  void work(int worker) noexcept;

  int size_;
  int64_t spin_nanoseconds_;
  Task* task_ = nullptr;  // a null task ends the threads
  void* context_ = nullptr;
  // Each on its own cache line: the caller writes the first, the workers the second.
  alignas(64) std::atomic<uint32_t> round_{0};
  alignas(64) std::atomic<uint32_t> busy_{0};
  std::vector<std::thread> threads_;
};

/// Where worker `worker` of `workers` begins in `chunks` pieces of work.
inline int64_t chunk_begin(int64_t chunks, int worker, int workers) {
  return chunks / workers * worker + chunks % workers * worker / workers;
}

/// Calls `fn(begin, end, worker)` on every worker that has chunks: contiguous ranges that together
/// are [0, chunks). Which worker gets which chunk depends on nothing but the two counts.
template <class Fn>
void parallel(Team& team, int64_t chunks, Fn&& fn) noexcept {
  struct Job {
    std::remove_reference_t<Fn>* fn;
    int64_t chunks;
    int workers;
  } job{&fn, chunks, team.size()};
  team.run(
      [](void* context, int worker) noexcept {
        const Job& j = *static_cast<const Job*>(context);
        const int64_t begin = chunk_begin(j.chunks, worker, j.workers);
        const int64_t end = chunk_begin(j.chunks, worker + 1, j.workers);
        if (begin < end) (*j.fn)(begin, end, worker);
      },
      &job);
}

}  // namespace soma
