#include "src/passes/order.h"

#include <algorithm>
#include <map>
#include <set>

#include "soma/error.h"

namespace soma::passes {

namespace {

constexpr double most_waiting = 16e6;  // bytes

class Order {
 public:
  Order(const Graph& graph, std::vector<Step> steps)
      : graph_(graph), steps_(std::move(steps)), users_(steps_.size()), left_(steps_.size(), 0) {
    std::map<Id, size_t> writer;
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (const Id id : steps_[s].writes) writer[id] = s;
    }
    for (const auto& [state, value] : graph.updates()) {
      if (const auto at = writer.find(value); at != writer.end()) {
        overwrites_[at->second].push_back(state);
        readers_[state];
      }
    }
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (const Id id : steps_[s].reads) {
        if (const auto state = readers_.find(id); state != readers_.end()) state->second.insert(s);
        if (graph[id].op == Op::input) continue;
        users_[writer.at(id)].push_back(s);
        ++left_[s];
      }
    }
  }

  std::vector<Step> run() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      if (left_[s] == 0) enter(s);
    }
    while (!ready_.empty() || !waiting_.empty()) {
      if (ready_.empty() || bytes_waiting() > most_waiting) {
        const bool all = ready_.empty();
        std::erase_if(waiting_, [&](const Entry& entry) {
          if (!all && !may_overwrite(entry.second)) return false;
          take(entry.second);
          return true;
        });
      }
      if (ready_.empty()) continue;
      const size_t s = ready_.begin()->second;
      ready_.erase(ready_.begin());
      take(s);
    }
    if (ordered_.size() != steps_.size())
      throw GraphError("the steps of this graph wait for each other, which is a fault of fusion");
    return std::move(ordered_);
  }

 private:
  using Entry = std::pair<Id, size_t>;  // by the last node of the step

  void enter(size_t s) {
    const Step& step = steps_[s];
    Id last = step.anchor.value_or(0);
    if (!step.members.empty()) last = std::max(last, step.members.back());
    if (step.elements == 1) last = 0;  // single numbers, as the bias correction of Adam, come first
    (users_[s].empty() ? waiting_ : ready_).emplace(last, s);
  }
  void take(size_t s) {
    for (const Id id : steps_[s].reads) {
      if (const auto state = readers_.find(id); state != readers_.end()) state->second.erase(s);
    }
    for (const size_t user : users_[s]) {
      if (--left_[user] == 0) enter(user);
    }
    ordered_.push_back(std::move(steps_[s]));
  }

  bool may_overwrite(size_t s) const {
    const auto states = overwrites_.find(s);
    if (states == overwrites_.end()) return true;
    return std::ranges::all_of(states->second, [&](Id state) {
      const auto& readers = readers_.at(state);
      return readers.size() == readers.count(s);
    });
  }
  double bytes_waiting() const {
    double sum = 0;
    for (const auto& [last, s] : waiting_) {
      for (const Id id : steps_[s].reads) {
        if (graph_[id].op == Op::input) continue;
        sum += static_cast<double>(graph_[id].shape.elements()) *
               static_cast<double>(size_of(graph_[id].type));
      }
    }
    return sum;
  }

  const Graph& graph_;
  std::vector<Step> steps_;
  std::vector<std::vector<size_t>> users_;
  std::vector<int> left_;                         ///< Arrays that a step still waits for.
  std::map<size_t, std::vector<Id>> overwrites_;  ///< States, by step.
  std::map<Id, std::set<size_t>> readers_;        ///< Steps that have yet to read such a state.
  std::set<Entry> ready_, waiting_;
  std::vector<Step> ordered_;
};

}  // namespace

std::vector<Step> in_order(const Graph& graph, std::vector<Step> steps) {
  return Order(graph, std::move(steps)).run();
}

}  // namespace soma::passes
