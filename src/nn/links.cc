// Links given one by one: text, order, and the nets built from them.
#include "src/nn/links.h"

#include <algorithm>
#include <tuple>

#include "soma/error.h"
#include "src/base/philox.h"
#include "src/base/text.h"

namespace soma {

namespace {

constexpr size_t max_links = size_t{1} << 22;

auto order_key(const Link& link) {
  return std::tuple(link.to, link.from_neuron, link.delayed, link.from);
}

/// "3~>2:0.5"
Link read_link(std::string_view text) {
  Link link;
  const size_t colon = text.find(':');
  if (colon != text.npos) link.weight = Reader<double>::read(text.substr(colon + 1));
  std::string_view ends = text.substr(0, colon);
  const size_t arrow = ends.find('>');
  if (arrow == ends.npos || arrow == 0) throw ArgumentError("a link like i0>1");
  std::string_view from = ends.substr(0, arrow);
  if (from.ends_with('~')) link.delayed = true, from.remove_suffix(1);
  link.from_neuron = !from.starts_with('i');
  if (!link.from_neuron) from.remove_prefix(1);
  link.from = Reader<int64_t>::read(from);
  link.to = Reader<int64_t>::read(ends.substr(arrow + 1));
  return link;
}

std::string text_of(const Link& link) {
  return cat(link.from_neuron ? "" : "i", link.from, link.delayed ? "~>" : ">", link.to,
             link.weight ? cat(":", number(*link.weight)) : "");
}

/// Each possible link with the probability `density`; every neuron gets one at least.
std::vector<Link> random_links(double density, int64_t seed, int64_t inputs, int64_t neurons) {
  constexpr uint32_t stream = 0x6c696e6b;  // "link"
  Random random(static_cast<uint64_t>(seed), stream);
  std::vector<Link> list;
  for (int64_t to = 0; to < neurons; ++to) {
    const size_t before = list.size();
    for (int64_t from = 0; from < inputs; ++from) {
      if (random.uniform_double() < density) list.push_back({from, to});
    }
    if (list.size() > before) continue;
    const auto any = static_cast<int64_t>(random.uniform_double() * static_cast<double>(inputs));
    list.push_back({any, to});
  }
  return list;
}

}  // namespace

Links Reader<Links>::read(std::string_view text) {
  const auto wanted = "links like [i0>0 i1>0 0>1 1~>0] or random(0.1)";
  try {
    Links links;
    if (text.starts_with("random(")) {
      const auto call = detail::parse_call("links", text);
      if (call.items.empty() || call.items.size() > 2) throw ArgumentError(wanted);
      links.density = Reader<double>::read(call.items[0].value);
      if (call.items.size() == 2) links.seed = Reader<int64_t>::read(call.items[1].value);
      if (!(links.density > 0 && links.density <= 1)) throw ArgumentError(wanted);
      return links;
    }
    if (!text.starts_with('[') || !text.ends_with(']')) throw ArgumentError(wanted);
    std::string inside(text.substr(1, text.size() - 2));
    std::ranges::replace(inside, ',', ' ');
    for (const std::string_view word : split(inside, ' ')) {
      if (!word.empty()) links.list.push_back(read_link(word));
    }
    if (links.list.empty() || links.list.size() > max_links) throw ArgumentError(wanted);
    std::ranges::sort(links.list, {}, order_key);
    return links;
  } catch (const ArgumentError& error) {
    const std::string_view said = error.what();
    throw ArgumentError(said == wanted ? std::string(wanted) : cat(wanted, " (", said, ")"));
  }
}

std::string Reader<Links>::write(const Links& links) {
  if (links.density > 0) {
    return cat("random(", number(links.density), links.seed ? cat(" ", links.seed) : "", ")");
  }
  std::vector<Link> sorted = links.list;
  std::ranges::sort(sorted, {}, order_key);
  std::vector<std::string> words;
  for (const Link& link : sorted) words.push_back(text_of(link));
  return cat("[", join(words, " "), "]");
}

std::vector<Link> Links::between(int64_t inputs, int64_t neurons) const {
  if (density > 0) return random_links(density, seed, inputs, neurons);
  for (size_t i = 0; i < list.size(); ++i) {
    const Link& link = list[i];
    const int64_t sources = link.from_neuron ? neurons : inputs;
    if (link.from < 0 || link.from >= sources || link.to < 0 || link.to >= neurons) {
      throw ArgumentError(cat("the link ", text_of(link), " has an end that does not exist: there ",
                              "are ", inputs, " inputs and ", neurons, " neurons, counted from 0"));
    }
    if (link.delayed && !link.from_neuron) {
      throw ArgumentError(cat("the link ", text_of(link), " is delayed, but comes from an input; ",
                              "let a neuron hold the input and delay the link from there"));
    }
    if (i > 0 && order_key(list[i - 1]) == order_key(link)) {
      throw ArgumentError(cat("the link ", text_of(link), " is given twice"));
    }
  }
  return list;
}

std::vector<size_t> first_links(const std::vector<Link>& sorted, int64_t neurons) {
  std::vector<size_t> first(static_cast<size_t>(neurons) + 1, 0);
  for (const Link& link : sorted) ++first[static_cast<size_t>(link.to) + 1];
  for (size_t n = 1; n < first.size(); ++n) first[n] += first[n - 1];
  return first;
}

std::vector<int64_t> order_of_neurons(const std::vector<Link>& links, int64_t neurons) {
  const auto count = static_cast<size_t>(neurons);
  std::vector<std::vector<int64_t>> followers(count);
  std::vector<int64_t> waits(count, 0), order;
  for (const Link& link : links) {
    if (!link.from_neuron || link.delayed) continue;
    followers[static_cast<size_t>(link.from)].push_back(link.to);
    ++waits[static_cast<size_t>(link.to)];
  }
  for (int64_t n = 0; n < neurons; ++n) {
    if (waits[static_cast<size_t>(n)] == 0) order.push_back(n);
  }
  for (size_t i = 0; i < order.size(); ++i) {
    for (const int64_t next : followers[static_cast<size_t>(order[i])]) {
      if (--waits[static_cast<size_t>(next)] == 0) order.push_back(next);
    }
  }
  if (order.size() == count) return order;
  // Every neuron left takes a value from another one left: going back along such links closes a
  // cycle.
  std::vector<int64_t> path{std::ranges::find_if(waits, [](int64_t w) { return w > 0; }) -
                            waits.begin()};
  for (;;) {
    const auto blocking = std::ranges::find_if(links, [&](const Link& link) {
      return link.to == path.back() && link.from_neuron && !link.delayed &&
             waits[static_cast<size_t>(link.from)] > 0;
    });
    const auto start = std::ranges::find(path, blocking->from) - path.begin();
    path.push_back(blocking->from);
    if (start + 1 == std::ssize(path)) continue;  // not there before
    std::vector<int64_t> cycle(path.begin() + start, path.end());
    std::ranges::reverse(cycle);
    throw GraphError(cat("the links ", join(cycle, " > "), " form a cycle without delay, so no ",
                         "neuron of it could be computed first; write one of them as a delayed ",
                         "link, for example ", cycle[0], "~>", cycle[1]));
  }
}

// ---- neuron by neuron

int Wiring::neuron(const Activation& function) {
  functions_.list.push_back(function);
  return static_cast<int>(functions_.list.size()) - 1;
}

void Wiring::add(Link link) {
  links_.push_back(link);
  const auto neurons = static_cast<int64_t>(functions_.list.size());
  (void)Links{{link}}.between(inputs_, neurons);  // throws for ends that do not exist
}
void Wiring::link_input(int input, int neuron, std::optional<double> weight) {
  add({input, neuron, false, false, weight});
}
void Wiring::link(int from, int to, std::optional<double> weight) {
  add({from, to, true, false, weight});
}
void Wiring::link_delayed(int from, int to, std::optional<double> weight) {
  add({from, to, true, true, weight});
}

Layer Wiring::layer(Where where) const {
  if (functions_.list.empty()) {
    throw ArgumentError("a net built neuron by neuron needs at least one neuron()");
  }
  const std::vector<double> outputs(outputs_.begin(), outputs_.end());
  return Layer("wired",
               {std::to_string(functions_.list.size()), Reader<Links>::write({links_}),
                functions_.text(), outputs},
               where);
}

}  // namespace soma
