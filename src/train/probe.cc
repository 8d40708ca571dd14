// Network::probe: one sample through a program whose outputs are all values of interest, and
// backwards when there is a target.
#include <utility>

#include "soma/error.h"
#include "soma/gradient.h"
#include "soma/network.h"
#include "src/base/text.h"

namespace soma {

namespace {

/// The tensor with a batch axis of 1 in front, whether it had one or not.
Tensor as_batch(const Tensor& tensor, const Shape& sample) {
  Shape batch{1};
  for (const int64_t extent : sample) batch.push_back(extent);
  if (tensor.shape() != sample && tensor.shape() != batch) {
    throw ShapeError(
        cat("probe() looks at one sample of shape ", sample, "; found ", tensor.shape()));
  }
  return tensor.reshaped(batch);
}

/// The target of one sample as an input of the graph. Class labels have one axis less than the
/// result, numbers as many; a missing one is the batch.
Value target_input(Graph& graph, Value out, const Tensor& target) {
  const int wanted = out.rank() - (is_integer(target.type()) ? 1 : 0);
  Shape shape = target.shape();
  if (shape.rank() != wanted) {
    shape = {1};
    for (const int64_t extent : target.shape()) shape.push_back(extent);
  }
  return graph.input("target", shape, target.type());
}

/// Collects outputs of a program by the place where their values shall go.
class Wishes {
 public:
  explicit Wishes(Graph& graph) : graph_(graph) {}
  void add(Value value, Tensor& place, bool batched = true) {
    if (!value) return;
    const std::string name = cat("v", wishes_.size());
    graph_.output(name, value);
    wishes_.push_back({name, &place, batched});
  }
  void collect(const Plan& plan) const {
    for (const auto& [name, place, batched] : wishes_) {
      Tensor found = plan.output(name).copy();
      const Shape& shape = found.shape();
      *place = batched ? found.reshaped(Shape(std::span(shape.begin() + 1, shape.end())))
                       : std::move(found);
    }
  }

 private:
  struct Wish {
    std::string name;
    Tensor* place;
    bool batched;
  };
  Graph& graph_;
  std::vector<Wish> wishes_;
};

/// dL/d(everything) for every layer.
void wish_gradients(Value loss, const std::vector<LayerTaps>& taps, std::vector<LayerProbe>& layers,
                    Wishes& wishes) {
  std::vector<Value> wrt;
  std::vector<std::pair<Tensor*, bool>> places;
  for (size_t i = 0; i < taps.size(); ++i) {
    const auto want = [&](Value value, Tensor& place, bool batched) {
      if (!value) return;
      wrt.push_back(value);
      places.emplace_back(&place, batched);
    };
    want(taps[i].out, layers[i].out_gradient, true);
    want(taps[i].sum, layers[i].sum_gradient, true);
    want(taps[i].weights, layers[i].weights_gradient, false);
    want(taps[i].bias, layers[i].bias_gradient, false);
  }
  const std::vector<Value> found = gradients(loss, wrt);
  for (size_t i = 0; i < found.size(); ++i)
    wishes.add(found[i], *places[i].first, places[i].second);
}

}  // namespace

const LayerProbe& Probe::operator[](std::string_view layer) const {
  std::vector<std::string> names;
  for (const LayerProbe& probe : layers) {
    if (probe.name == layer) return probe;
    names.push_back(probe.name);
  }
  throw ArgumentError(cat("the probe has no layer \"", layer, "\"", did_you_mean(layer, names),
                          "; its layers are ", join(names, ", ")));
}

Probe Network::probe(const Tensor& sample) const { return probe(sample, nullptr, nullptr); }

Probe Network::probe(const Tensor& sample, const Tensor& target, const Loss& loss) const {
  return probe(sample, &target, &loss);
}

Probe Network::probe(const Tensor& sample, const Tensor* target, const Loss* loss) const {
  const Tensor batch = as_batch(sample, sample_shape()).cast(f32);
  Graph graph;
  std::vector<LayerTaps> taps;
  const Value in = graph.input(inputs_[0].name, batch.shape());
  const Value out = build(graph, in, {.taps = &taps});

  Probe result;
  result.in = batch.reshaped(sample_shape());
  result.layers.resize(taps.size());
  Wishes wishes(graph);
  wishes.add(out, result.out);
  for (size_t i = 0; i < taps.size(); ++i) {
    LayerProbe& layer = result.layers[i];
    layer.name = taps[i].name;
    wishes.add(taps[i].in, layer.in);
    wishes.add(taps[i].activation_value, layer.activation_value);
    wishes.add(taps[i].sum, layer.sum);
    wishes.add(taps[i].out, layer.out);
  }
  Tensor loss_value;
  if (target) {
    const Value error = (*loss)(out, target_input(graph, out, *target));
    wishes.add(error, loss_value, false);
    wish_gradients(error, taps, result.layers, wishes);
  }
  Plan plan = compile(graph, Device::cpu(1));
  plan.bind(const_cast<Tensors&>(tensors_));  // The program only reads them.
  plan.bind(inputs_[0].name, batch.raw());
  if (target) plan.bind("target", target->raw());
  plan.run();
  wishes.collect(plan);
  if (target) result.loss = loss_value.at(0);
  return result;
}

}  // namespace soma
