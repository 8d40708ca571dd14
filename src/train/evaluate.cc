// Running a network over a data set without changing it.
#include <algorithm>
#include <numeric>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/train/program.h"

namespace soma {
namespace train {

std::vector<std::string> metric_names(const std::vector<std::string>& asked, const Target& target) {
  if (!asked.empty() && !target.compares) {
    throw ArgumentError(cat("the metric ", asked[0], " compares each output, or each row of ",
                            "classes, with a target of its own, but this loss does not; leave the ",
                            "metrics out"));
  }
  if (!asked.empty()) return asked;
  if (target.decides) return {"accuracy"};
  if (target.numbers) return {"mae", "r2"};
  return {};  // shares of classes as targets, logarithms, vectors
}

Evaluator::Evaluator(const Network& net, const Dataset& dataset, const Loss& loss,
                     const EvaluateOptions& options)
    : dataset_(dataset),
      objective_{loss,
                 1,
                 check_fit(net, dataset, loss, options.output, options.target),
                 options.output,
                 options.target,
                 {}},
      batch_(std::min(options.batch, dataset.size())),
      metrics_(metric_names(options.metrics, objective_.target), objective_.target.type == i32,
               objective_.target.width) {
  if (options.batch < 1) {
    throw ArgumentError(cat("a batch needs at least one row; found ", options.batch));
  }
  const auto program = [&](int64_t rows) {
    const LossGraph built(net, dataset, objective_, rows, BuildMode::inference);
    Program result(built.graph, net, objective_, dataset, options.device);
    result.bind(built.graph, net.tensors());
    return result;
  };
  if (const int64_t left = dataset.size() % batch_; left > 0) rest_.emplace(program(left));
  full_.emplace(program(batch_));
}

Evaluation Evaluator::run() {
  std::vector<int64_t> order(static_cast<size_t>(batch_));
  metrics_.reset();
  double loss = 0;
  for (int64_t first = 0; first < dataset_.size(); first += batch_) {
    const int64_t count = std::min(batch_, dataset_.size() - first);
    const auto rows = std::span(order).first(static_cast<size_t>(count));
    std::iota(rows.begin(), rows.end(), first);
    Program& program = count == batch_ ? *full_ : *rest_;
    program.gather(dataset_, rows);
    program.run();
    loss += program.loss() * static_cast<double>(count);
    metrics_.add(program.answers(objective_.target.threshold));
  }
  return {loss / static_cast<double>(dataset_.size()), metrics_.scores(), dataset_.size()};
}

}  // namespace train

Evaluation evaluate(const Network& net, const Dataset& dataset, const Loss& loss,
                    const EvaluateOptions& options) {
  return train::Evaluator(net, dataset, loss, options).run();
}

}  // namespace soma
