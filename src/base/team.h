// The thread team: a fixed set of threads that share one piece of work at a time, for work measured
// in microseconds. Waiting threads spin briefly, because the next task of a plan is usually a
// microsecond away, and then sleep, because a team that idles must not burn a core.
//
// Work is cut into chunks. Each worker begins with a range of its own, so that it meets the same
// part of an array again and again, and takes it in pieces; who is done takes pieces of the others'
// ranges. So a thread that the system holds up delays at most the piece it has, and one that comes
// too late is not waited for.
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
  using Task = void(void* context, int64_t begin, int64_t end, int worker) noexcept;

  /// Throws ArgumentError when `threads` is below one.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  /// Calls `task(context, begin, end, worker)` for ranges that together are [0, chunks), each chunk
  /// once, and returns when all are done. What the caller wrote before is visible to the tasks, and
  /// what they wrote is visible afterwards. Takes no lock and allocates nothing.
  void run(int64_t chunks, Task* task, void* context) noexcept;

 private:
  /// What is left of a worker's range. On a cache line of its own: its owner takes most of it.
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  void work(int worker) noexcept;
  void take_chunks(int worker) noexcept;

  int size_;
  int64_t spin_nanoseconds_;
  Task* task_ = nullptr;
  void* context_ = nullptr;
  std::unique_ptr<Range[]> ranges_;
  // The gate: the number of the round, whether it is open, and how many threads are inside.
  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) std::atomic<uint32_t> left_{0};  ///< Counts who left last after the gate was closed.
  std::atomic<bool> ends_{false};
  std::vector<std::thread> threads_;
};

/// Where worker `worker` of `workers` begins in `chunks` pieces of work.
inline int64_t chunk_begin(int64_t chunks, int worker, int workers) {
  return chunks / workers * worker + chunks % workers * worker / workers;
}

/// Calls `fn(begin, end, worker)` for contiguous ranges that together are [0, chunks). Results must
/// not depend on where they are cut or who gets which: that is up to chance.
template <class Fn>
void parallel(Team& team, int64_t chunks, Fn&& fn) noexcept {
  using Function = std::remove_reference_t<Fn>;
  team.run(
      chunks,
      [](void* context, int64_t begin, int64_t end, int worker) noexcept {
        (*static_cast<Function*>(context))(begin, end, worker);
      },
      const_cast<std::remove_const_t<Function>*>(&fn));
}

}  // namespace soma
