// Averages of the weights in place of the last ones.
#include <cstring>

#include "soma/error.h"
#include "soma/train.h"
#include "src/base/text.h"

namespace soma {

void use_averages(Network& net, const History& history) {
  const Tensors averages = averages_of(history.optimizer_states);
  if (averages.empty()) {
    throw ArgumentError(
        "the optimizer kept no averages of the weights; add ema_weights(0.999) or "
        "average_weights(100) to it");
  }
  for (const auto& [name, average] : averages) {
    const auto own = net.tensors().find(name);
    if (own == net.tensors().end() || own->second.shape() != average.shape() ||
        own->second.type() != average.type()) {
      throw ArgumentError(cat("the averages are of another network: this one has no \"", name,
                              "\" of the shape ", average.shape()));
    }
  }
  for (const auto& [name, average] : averages) {  // in place: plans are bound to the memory
    std::memcpy(net.tensors().at(name).raw(), average.raw(), average.bytes());
  }
}

}  // namespace soma
