// The gradient of a call: a call of the same name with a prime, whose body is the pull-back of the
// body. It computes the forward values again; once both bodies stand in the open, equal nodes are
// one, and a backend that claims the primed name chooses for itself.
#include "src/ad/rules.h"
#include "src/base/text.h"

namespace soma::ad {

Cotangents call_rule(const Reverse& r) {
  const auto& attr = r.as<CallAttr>();
  Graph body;
  std::vector<Value> outer = r.in, inner;
  for (size_t i = 0; i < r.in.size(); ++i) {
    inner.push_back(body.input(cat("x", i), r.in[i].shape(), r.in[i].type()));
  }
  const std::vector<Value> results = body.splice(*attr.body, inner);

  std::vector<Value> of, seeds, wrt;
  for (size_t i = 0; i < r.gs.size(); ++i) {
    if (!r.gs[i]) continue;
    outer.push_back(r.gs[i]);
    of.push_back(results[i]);
    seeds.push_back(body.input(cat("g", i), results[i].shape(), results[i].type()));
  }
  for (size_t i = 0; i < r.in.size(); ++i) {
    if (r.needs[i]) wrt.push_back(inner[i]);
  }
  const std::vector<Value> pulled = pull_back(of, seeds, wrt, r.options);

  Cotangents cotangents(r.in.size());
  std::vector<size_t> receivers;
  for (size_t i = 0, k = 0; i < r.in.size(); ++i) {
    if (!r.needs[i]) continue;
    if (const Value cotangent = pulled[k++]) {
      body.output(cat("d", i), cotangent);
      receivers.push_back(i);
    }
  }
  if (receivers.empty()) return cotangents;
  const auto given = call(r.graph(), attr.name + "'", outer, std::move(body));
  for (size_t k = 0; k < receivers.size(); ++k) cotangents[receivers[k]] = given[k];
  return cotangents;
}

}  // namespace soma::ad
