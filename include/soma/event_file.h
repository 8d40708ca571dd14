// Event files for TensorBoard: numbers over steps, for whoever looks at trainings with it.
//
//   EventFile events("run");
//   events.add("epoch/loss", 1, 0.42);      then: tensorboard --logdir run
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace soma {

/// A file run/events.out.tfevents.<seconds>.soma that grows with each number. The format is that of
/// TensorFlow: records (tensorflow/core/lib/io/record_writer.h) with Event messages
/// (tensorflow/core/util/event.proto) that hold one scalar Summary each
/// (tensorflow/core/framework/summary.proto).
class EventFile {
 public:
  /// `wall_time`: seconds since 1970, for the file's name and beginning; left out: now. Throws
  /// FileError when the file cannot be made.
  explicit EventFile(const std::string& folder, double wall_time = not_given);
  EventFile(EventFile&&) noexcept;
  EventFile& operator=(EventFile&&) noexcept;
  ~EventFile();

  const std::string& path() const;
  /// Slashes in the tag make groups. Throws FileError.
  void add(std::string_view tag, int64_t step, double value, double wall_time = not_given);

 private:
  static constexpr double not_given = -1;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace soma
