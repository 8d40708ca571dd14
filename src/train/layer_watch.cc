// Sizes of weights, gradients and updates, layer by layer.
#include "soma/layer_watch.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "soma/gradient.h"
#include "src/base/text.h"
#include "src/train/program.h"
#include "src/train/step.h"

namespace soma {

struct LayerWatch::Impl {
  Impl(const Network& net, const Dataset& train, const FitOptions& options, int64_t times)
      : net_(net),
        data_(train),
        times_(std::max<int64_t>(1, times)),
        seed_(options.seed),
        device_(options.device),
        objective_(train::objective_of(net, train, options)) {
    rows_ = data::permutation(train.size(), options.seed);
    rows_.resize(static_cast<size_t>(std::clamp<int64_t>(options.batch, 1, train.size())));
  }

  void hear(const Event& event) {
    if (event.kind == Event::Kind::begin) remember();
    if (event.kind != Event::Kind::step) return;
    const int64_t done = event.steps * (event.epoch - 1) + event.step;
    const int64_t every = std::max<int64_t>(1, event.steps * event.epochs / times_);
    const auto is_due = [&](int64_t step) { return step == 1 || step % every == 0; };
    if (is_due(done) && !before_.empty()) measure(done);
    if (is_due(done + 1)) remember();
  }

  std::span<const LayerSizes> sizes() const { return sizes_; }

 private:
  /// The arrays as they are before a step. Their places stay: the program is bound to them.
  void remember() {
    for (const auto& [name, tensor] : net_.tensors()) {
      const auto [place, first] = before_.try_emplace(name, tensor);
      if (!first) std::memcpy(place->second.raw(), tensor.raw(), tensor.bytes());
    }
  }

  void compile() {
    train::LossGraph built(net_, data_, objective_, static_cast<int64_t>(rows_.size()),
                           BuildMode::training);
    const std::vector<Value> parameters = parameters_of(built.graph);
    const std::vector<Value> slopes = gradients(built.loss, parameters);
    for (size_t i = 0; i < parameters.size(); ++i) {
      names_.push_back(parameters[i].node().as<InputAttr>().name);
      built.graph.output(cat("squares/", i), sum(square(slopes[i])));
    }
    program_.emplace(built.graph, net_, objective_, data_, device_);
    for (const Id id : built.graph.inputs()) {
      const auto& input = built.graph[id].as<InputAttr>();
      if (input.kind != InputKind::data) program_->plan().bind(input.name, before_.at(input.name));
    }
    program_->gather(data_, rows_);
    program_->set_key(seed_, 0);
  }

  void measure(int64_t step) {
    if (!program_) compile();
    std::map<std::string, LayerSizes> found;
    std::map<std::string, double> numbers;
    for (const std::string& name : names_) {  // first: running the program may change states
      const Tensor &old = before_.at(name), &now = net_.tensors().at(name);
      const std::string layer = layer_of(name);
      LayerSizes& sizes = found[layer];
      for (int64_t i = 0; i < old.elements(); ++i) {
        const double w = old.at(i), change = now.at(i) - w;
        sizes.weights += w * w;
        sizes.update += change * change;
      }
      numbers[layer] += static_cast<double>(old.elements());
    }
    program_->run();
    for (size_t i = 0; i < names_.size(); ++i) {
      found[layer_of(names_[i])].gradient += program_->plan().output(cat("squares/", i)).scalar();
    }
    for (const LayerInfo& row : net_.info().layers) {
      const auto place = found.find(row.name);
      if (place == found.end()) continue;
      LayerSizes& sizes = place->second;
      for (double* size : {&sizes.weights, &sizes.gradient, &sizes.update}) {
        *size = std::sqrt(*size / numbers.at(row.name));
      }
      sizes.step = step;
      sizes.layer = row.name;
      sizes_.push_back(sizes);
    }
  }

  static std::string layer_of(const std::string& tensor) {
    return tensor.substr(0, tensor.find('/'));
  }

  const Network& net_;
  const Dataset& data_;
  int64_t times_;
  uint64_t seed_;
  Device device_;
  train::Objective objective_;
  std::vector<int64_t> rows_;
  Tensors before_;
  std::vector<std::string> names_;  // of the parameters, in the order of the program's results
  std::optional<train::Program> program_;
  std::vector<LayerSizes> sizes_;
};

LayerWatch::LayerWatch(const Network& net, const Dataset& train, const FitOptions& options,
                       int64_t times)
    : impl_(std::make_unique<Impl>(net, train, options, times)) {}
LayerWatch::LayerWatch(LayerWatch&&) noexcept = default;
LayerWatch& LayerWatch::operator=(LayerWatch&&) noexcept = default;
LayerWatch::~LayerWatch() = default;

bool LayerWatch::operator()(const Event& event) {
  impl_->hear(event);
  return true;
}
std::span<const LayerSizes> LayerWatch::sizes() const { return impl_->sizes(); }

}  // namespace soma
