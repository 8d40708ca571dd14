// Summaries of a network, as a table for people and as JSON for programs.
#include <nlohmann/json.hpp>
#include <sstream>

#include "soma/inspect.h"

namespace soma {

namespace {

using Json = nlohmann::ordered_json;

Json extents(const Shape& shape) { return std::vector<int64_t>(shape.begin(), shape.end()); }

std::string as_json(const NetworkInfo& info) {
  Json layers = Json::array();
  for (const LayerInfo& layer : info.layers) {
    layers.push_back({{"name", layer.name},
                      {"kind", layer.kind},
                      {"text", layer.text},
                      {"sources", layer.sources},
                      {"input", extents(layer.input)},
                      {"output", extents(layer.output)},
                      {"has_neurons", layer.has_neurons},
                      {"neurons", layer.neurons},
                      {"links", layer.links},
                      {"parameters", layer.parameters},
                      {"frozen", layer.frozen},
                      {"flops", layer.flops},
                      {"activations", layer.activations},
                      {"tensors", layer.tensors}});
  }
  const Json root{{"input", extents(info.input)},
                  {"output", extents(info.output)},
                  {"layer_count", info.layer_count},
                  {"neurons", info.neurons},
                  {"links", info.links},
                  {"parameters", info.parameters},
                  {"flops", info.flops},
                  {"parameter_bytes", info.parameter_bytes},
                  {"activation_bytes", info.activation_bytes},
                  {"layers", layers}};
  return root.dump(2) + "\n";
}

}  // namespace

std::string summary(const Network& network, SummaryFormat format) {
  if (format == SummaryFormat::json) return as_json(network.info());
  std::ostringstream out;
  network.summary(out);
  return out.str();
}

}  // namespace soma
