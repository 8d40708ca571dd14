// Plan::run() allocates nothing and takes no lock: counted by standing in front of the C library's
// malloc and of the pthread locks for the whole process, on every thread of the team.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "soma/error.h"
#include "soma/gradient.h"
#include "soma/network.h"
#include "soma/plan.h"
#include "soma/stream.h"

#ifdef SOMA_SANITIZED
#define SOMA_COUNTS 0
#else
#define SOMA_COUNTS 1
#endif

namespace {
std::atomic<long> allocations{0}, locks{0};
}

#if SOMA_COUNTS
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t n) { return ++allocations, __libc_malloc(n); }
void* calloc(size_t n, size_t size) { return ++allocations, __libc_calloc(n, size); }
void* realloc(void* p, size_t n) { return ++allocations, __libc_realloc(p, n); }
void* aligned_alloc(size_t alignment, size_t n) {
  return ++allocations, __libc_memalign(alignment, n);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static const Lock next = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  ++locks;
  return next(mutex);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
  using Lock = int (*)(pthread_rwlock_t*);
  static const Lock next = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_rwlock_wrlock"));
  ++locks;
  return next(lock);
}
}
#endif

namespace soma {
namespace {

Graph training_step() {
  Graph g;
  const Value x = g.input("x", {64, 100}), y = g.input("y", {64, 10});
  const std::vector<Value> params{g.parameter("w1", {100, 48}), g.parameter("b1", {48}),
                                  g.parameter("w2", {48, 10})};
  const Value loss = mean(square(dot(tanh(dot(x, params[0]) + params[1]), params[2]) - y));
  const auto d = gradients(loss, params);
  for (size_t i = 0; i < params.size(); ++i) g.update(params[i], params[i] - d[i] * 0.1);
  g.output("loss", loss);
  return g;
}

Graph inference() {
  Graph g;
  const Value x = g.input("x", {1, 100});
  g.output("y", tanh(dot(x, g.parameter("w1", {100, 48})) + g.parameter("b1", {48})));
  return g;
}

Graph recurrent_step() {
  Graph g;
  const Value x = g.input("x", {6, 40, 10}), w = g.parameter("w", {10, 10});
  Graph body;
  const Value bw = body.input("w", {10, 10}), h = body.input("h", {40, 10});
  const Value next = tanh(dot(h, bw) + body.input("x", {40, 10}));
  body.output("h", next);
  const Value last =
      scan(g, std::move(body), std::vector<Value>{w},
           std::vector<Value>{g.constant(0, {40, 10}, f32)}, std::vector<Value>{x}, 6)[0];
  const Value loss = mean(square(last));
  g.update(w, w - gradients(loss, std::vector<Value>{w})[0] * 0.1);
  g.output("loss", loss);
  return g;
}

TEST(NoAlloc, TheCountersCount) {
  if (!SOMA_COUNTS) GTEST_SKIP() << "the sanitizer owns malloc and the locks";
  const long before = allocations, locked = locks;
  void* volatile p = std::malloc(10);
  std::free(p);
  std::mutex mutex;
  { const std::lock_guard guard(mutex); }
  EXPECT_EQ(allocations - before, 1);
  EXPECT_EQ(locks - locked, 1);
}

TEST(NoAlloc, RunAllocatesNothingAndTakesNoLock) {
  if (!SOMA_COUNTS) GTEST_SKIP() << "the sanitizer owns malloc and the locks";
  for (const Graph& graph : {training_step(), recurrent_step(), inference()}) {
    for (const int threads : {1, 2, 4}) {
      Plan plan = compile(graph, Device::cpu(threads));
      plan.run();
      const long before = allocations, locked = locks;
      for (int i = 0; i < 1000; ++i) plan.run();
      EXPECT_EQ(allocations - before, 0) << threads << " threads";
      EXPECT_EQ(locks - locked, 0) << threads << " threads";
    }
  }
}

TEST(NoAlloc, StreamsAllocateNothingPerStep) {
  if (!SOMA_COUNTS) GTEST_SKIP() << "the sanitizer owns malloc and the locks";
  std::set<std::string> streamed;
  for (const LayerRow& row : layer_kinds()) {
    Network net = Network::parse("input 8x3, dense(4 per_step=true)");
    try {
      const std::string sizes = row.name == "jordan" ? "(5 4" : "(5";
      net = Network::parse("input 8x3, " + row.name + sizes +
                           " returns=all), dense(2 tanh per_step=true)");
    } catch (const Error&) {
      continue;  // no recurrent kind
    }
    for (const int threads : {1, 2}) {
      Stream stream(net, 2, Device::cpu(threads));
      const std::vector<float> x(6, 0.5f);
      float sum = stream.step(x).as<float>()[0];
      const long before = allocations, locked = locks;
      for (int i = 0; i < 200; ++i) sum += stream.step(x).as<float>()[0];
      EXPECT_EQ(allocations - before, 0) << row.name << ", " << threads << " threads";
      EXPECT_EQ(locks - locked, 0) << row.name << ", " << threads << " threads";
      EXPECT_NE(sum, 0) << row.name;
      streamed.insert(row.name);
    }
  }
  EXPECT_GE(streamed.size(), 12u);
}

static_assert(noexcept(std::declval<Plan&>().run()));

}  // namespace
}  // namespace soma
