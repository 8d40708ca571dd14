#include "soma/loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

class Loader::Impl {
 public:
  Impl(const Dataset& dataset, LoaderOptions options)
      : dataset_(dataset), options_(std::move(options)) {
    if (options_.batch < 1) {
      throw ArgumentError(cat("a batch needs at least one row; found ", options_.batch));
    }
    if (options_.prefetch < 0) {
      throw ArgumentError(
          cat("a loader prepares no or more batches ahead; found ", options_.prefetch));
    }
    const int64_t rows = dataset.size(), whole = rows / options_.batch;
    batches_ = whole + (rows % options_.batch > 0 && !options_.drop_last ? 1 : 0);
    if (batches_ == 0) {
      throw ArgumentError(cat("data set \"", dataset.name, "\" has ", rows,
                              " rows, which fill no batch of ", options_.batch));
    }
    if (!options_.augment.empty()) augmenter_.emplace(options_.augment, dataset, options_.seed);
    slots_.resize(static_cast<size_t>(options_.prefetch) + 1);
    if (options_.prefetch > 0) thread_ = std::thread([this] { work(); });
  }
  ~Impl() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    wanted_.notify_one();
    thread_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  int64_t batches() const { return batches_; }

  const Batch& next() {
    Slot& slot = slot_of(next_);
    if (thread_.joinable()) {
      std::unique_lock lock(mutex_);
      ++next_;  // gives the batch before back
      wanted_.notify_one();
      made_.wait(lock, [&] { return prepared_ >= next_; });
    } else {
      prepare(next_++, slot);
    }
    if (slot.failure) std::rethrow_exception(slot.failure);
    return slot.batch;
  }

  void seek(int64_t epoch, int64_t index) {
    if (epoch < 1 || index < 0 || index >= batches_) {
      throw ArgumentError(cat("an epoch, from 1, has the batches 0 to ", batches_ - 1,
                              "; there is no batch ", index, " of epoch ", epoch));
    }
    const int64_t number = (epoch - 1) * batches_ + index;
    if (number == next_) return;
    const std::lock_guard lock(mutex_);
    next_ = prepared_ = number;
    ++seeks_;
    wanted_.notify_one();
  }

 private:
  /// Batches are numbered through all epochs; one has the slot of its number.
  struct Slot {
    Batch batch;
    std::exception_ptr failure;
  };
  Slot& slot_of(int64_t number) { return slots_[static_cast<size_t>(number) % slots_.size()]; }

  /// On the thread: prepares what is not further ahead than wanted.
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wanted_.wait(lock, [&] { return ends_ || prepared_ < next_ + options_.prefetch; });
      if (ends_) return;
      const int64_t number = prepared_, seeks = seeks_;
      lock.unlock();
      prepare(number, slot_of(number));
      lock.lock();
      if (seeks != seeks_) continue;  // nobody wants it any more
      ++prepared_;
      made_.notify_one();
    }
  }

  void prepare(int64_t number, Slot& slot) noexcept {
    slot.failure = nullptr;
    try {
      fill(slot.batch, number / batches_ + 1, number % batches_);
    } catch (...) {
      slot.failure = std::current_exception();
    }
  }

  void fill(Batch& batch, int64_t epoch, int64_t index) {
    if (epoch != ordered_epoch_) order_rows(epoch);
    const int64_t first = index * options_.batch;
    const int64_t count = std::min(options_.batch, dataset_.size() - first);
    batch.epoch = epoch;
    batch.index = index;
    batch.rows.assign(order_.begin() + first, order_.begin() + first + count);
    const bool bytes = options_.bytes && dataset_.inputs.type() == u8;
    make_room(batch.inputs, count, dataset_.input_shape(), bytes ? u8 : f32);
    make_room(batch.targets, count, dataset_.target_shape(),
              dataset_.is_classification() ? i32 : f32);
    if (dataset_.is_classification()) {
      dataset_.gather_targets(batch.rows, batch.targets.data<int32_t>());
      gather(batch, {});
    } else {
      gather(batch, batch.targets.data<float>());
    }
  }

  /// Inputs, and targets that are numbers.
  void gather(Batch& batch, std::span<float> targets) const {
    const bool bytes = batch.inputs.type() == u8;
    if (augmenter_ && bytes) {
      return augmenter_->gather(batch.rows, batch.epoch, batch.inputs.data<uint8_t>(), targets);
    }
    if (augmenter_) {
      return augmenter_->gather(batch.rows, batch.epoch, batch.inputs.data<float>(), targets);
    }
    if (!targets.empty()) dataset_.gather_targets(batch.rows, targets);
    if (!bytes) return dataset_.gather_inputs(batch.rows, batch.inputs.data<float>());
    const auto width = static_cast<size_t>(dataset_.features());
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      std::ranges::copy(dataset_.inputs.data<uint8_t>().subspan(
                            static_cast<size_t>(batch.rows[i]) * width, width),
                        batch.inputs.data<uint8_t>().subspan(i * width).begin());
    }
  }

  static void make_room(Tensor& tensor, int64_t rows, const Shape& row, DType type) {
    Shape shape{rows};
    for (const int64_t extent : row) shape.push_back(extent);
    if (tensor.shape() != shape || tensor.type() != type) tensor = Tensor(shape, type);
  }

  void order_rows(int64_t epoch) {
    if (options_.shuffle) {
      order_ = data::permutation(dataset_.size(), options_.seed, static_cast<uint64_t>(epoch));
    } else if (order_.empty()) {
      order_.resize(static_cast<size_t>(dataset_.size()));
      std::iota(order_.begin(), order_.end(), int64_t{0});
    }
    ordered_epoch_ = epoch;
  }

  const Dataset& dataset_;
  LoaderOptions options_;
  int64_t batches_ = 0;
  std::optional<Augmenter> augmenter_;
  std::vector<Slot> slots_;  // one more than are prepared ahead: the caller's
  // Of who prepares.
  std::vector<int64_t> order_;
  int64_t ordered_epoch_ = 0;
  // Between both, under the mutex.
  std::mutex mutex_;
  std::condition_variable wanted_, made_;
  int64_t next_ = 0, prepared_ = 0, seeks_ = 0;
  bool ends_ = false;
  std::thread thread_;
};

Loader::Loader(const Dataset& dataset, LoaderOptions options)
    : impl_(std::make_unique<Impl>(dataset, std::move(options))) {}
Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;
Loader::~Loader() = default;

int64_t Loader::batches() const { return impl_->batches(); }
const Batch& Loader::next() { return impl_->next(); }
void Loader::seek(int64_t epoch, int64_t index) { impl_->seek(epoch, index); }

}  // namespace soma
