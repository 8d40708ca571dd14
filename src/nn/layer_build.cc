// LayerBuild: what the functions of the layer kinds work with.
#include <string>
#include <utility>

#include "soma/error.h"
#include "soma/layers.h"
#include "src/base/text.h"
#include "src/ir/message.h"

namespace soma {

namespace {

/// More elements than any machine has memory for, few enough that sizes and costs do not overflow.
constexpr int64_t max_elements = int64_t{1} << 40;

}  // namespace

LayerBuild::LayerBuild(Graph& graph, const Layer& layer, std::vector<Value> sources,
                       ActivationContext context, LayerTaps& taps)
    : graph_(graph), layer_(layer), sources_(std::move(sources)), context_(context), taps_(taps) {}

void LayerBuild::fail(std::string_view message) const {
  throw ShapeError(cat("layer \"", layer_.name(), "\": ", message, suffix(layer_.where())));
}

int64_t LayerBuild::batch() const { return sources_[0].extent(0); }

Value LayerBuild::in() const { return sources_.size() == 1 ? sources_[0] : flat(); }

Value LayerBuild::flat() const {
  std::vector<Value> parts;
  for (const Value source : sources_) {
    parts.push_back(reshape(source, {batch(), source.shape().elements() / batch()}));
  }
  return concat(parts, 1);
}

Value LayerBuild::parameter(std::string name, Shape shape, const std::string& init) const {
  int64_t elements = 1;
  for (const int64_t extent : shape) {
    if (extent < 1 || __builtin_mul_overflow(elements, extent, &elements) ||
        elements > max_elements) {
      fail(cat("the parameter \"", name, "\" would have the shape ", shape,
               ", which no memory holds; use fewer neurons"));
    }
  }
  return graph_.parameter(std::move(name), shape, init);
}

Value LayerBuild::activate(Value x, const Activations& functions) const {
  const auto& list = functions.list;
  if (!functions.per_neuron()) return list[0](x, context_);
  if (x.rank() != 2 || x.extent(1) != static_cast<int64_t>(list.size())) {
    fail(cat("has ", list.size(), " activation functions, one per neuron, for values of shape ",
             x.shape(), "; expected [batch, ", list.size(), "]"));
  }
  // Neighbours with the same function are computed together.
  std::vector<Value> parts;
  for (size_t i = 0; i < list.size();) {
    size_t end = i;
    while (end < list.size() && list[end] == list[i]) ++end;
    if (list[i].row().vector) {
      fail(cat("the activation function ", list[i].text(), " looks at several neurons at once and ",
               "cannot belong to one of them; use it for the whole layer"));
    }
    const Graph::Scope scope(graph_, cat("neurons", i, "-", end - 1), layer_.where());
    ActivationContext context = context_;
    context.stream += static_cast<int64_t>(i);
    const Value part = slice_axis(x, 1, static_cast<int64_t>(i), static_cast<int64_t>(end));
    parts.push_back(list[i](part, context));
    i = end;
  }
  return concat(parts, 1);
}

}  // namespace soma
