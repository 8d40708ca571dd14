// Learning byte pairs. Each different chunk of the text is kept once, with how often it occurs; a
// pair knows the chunks it occurs in, so that joining it touches these only.
#include <algorithm>
#include <map>
#include <queue>
#include <unordered_map>

#include "src/data/text_pieces.h"

namespace soma::data {

namespace {

using Symbol = uint32_t;
using Pair = uint64_t;  // left and right symbol

Pair pair_of(Symbol left, Symbol right) { return Pair{left} << 32 | right; }

struct Chunk {
  std::vector<Symbol> symbols;
  int64_t count = 0;
};

struct Uses {
  int64_t count = 0;
  std::vector<size_t> chunks;  ///< Perhaps of the past, and twice.
};

/// The most frequent pair first, of equals the one of the older symbols. Entries whose count is no
/// longer right are stale.
struct Candidate {
  int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Learner {
 public:
  explicit Learner(std::string_view text) {
    for (int byte = 0; byte < 256; ++byte) add_piece(std::string(1, static_cast<char>(byte)));
    std::map<std::string_view, int64_t> counts;  // in order: the result must not depend on hashes
    for (const std::string_view chunk : chunks_of(text)) ++counts[chunk];
    for (const auto& [chunk, count] : counts) {
      Chunk next{{}, count};
      for (const char c : chunk) next.symbols.push_back(static_cast<unsigned char>(c));
      chunks_.push_back(std::move(next));
      count_pairs(chunks_.size() - 1, 1);
    }
    for (const auto& [pair, uses] : uses_) candidates_.push({uses.count, pair});
  }

  std::vector<std::string> run(size_t pieces) {
    while (pieces_.size() < pieces && !candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      if (best.count < 2) break;
      if (uses_[best.pair].count == best.count) join(best.pair);
    }
    return std::move(pieces_);
  }

 private:
  Symbol add_piece(std::string piece) {
    const auto [found, is_new] = symbols_.try_emplace(piece, static_cast<Symbol>(pieces_.size()));
    if (is_new) pieces_.push_back(std::move(piece));
    return found->second;
  }

  void count_pairs(size_t at, int sign) {
    const Chunk& chunk = chunks_[at];
    for (size_t i = 1; i < chunk.symbols.size(); ++i) {
      const Pair pair = pair_of(chunk.symbols[i - 1], chunk.symbols[i]);
      Uses& uses = uses_[pair];
      uses.count += sign * chunk.count;
      if (sign > 0) uses.chunks.push_back(at);
      changed_.push_back(pair);
    }
  }

  void join(Pair pair) {
    const auto left = static_cast<Symbol>(pair >> 32), right = static_cast<Symbol>(pair);
    const Symbol joined = add_piece(pieces_[left] + pieces_[right]);
    std::vector<size_t> where = std::move(uses_[pair].chunks);
    uses_[pair].chunks.clear();
    std::ranges::sort(where);
    where.erase(std::unique(where.begin(), where.end()), where.end());
    changed_.clear();
    for (const size_t at : where) {
      count_pairs(at, -1);
      auto& symbols = chunks_[at].symbols;
      size_t kept = 0;
      for (size_t i = 0; i < symbols.size(); ++i) {
        const bool here = i + 1 < symbols.size() && symbols[i] == left && symbols[i + 1] == right;
        symbols[kept++] = here ? joined : symbols[i];
        i += here;
      }
      symbols.resize(kept);
      count_pairs(at, 1);
    }
    std::ranges::sort(changed_);
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const Pair each : changed_) {
      if (uses_[each].count > 0) candidates_.push({uses_[each].count, each});
    }
  }

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, Symbol> symbols_;
  std::vector<Chunk> chunks_;
  std::unordered_map<Pair, Uses> uses_;
  std::priority_queue<Candidate> candidates_;
  std::vector<Pair> changed_;
};

}  // namespace

std::vector<std::string> learn_byte_pairs(std::string_view text, int64_t size) {
  return Learner(text).run(static_cast<size_t>(size - 2));
}

}  // namespace soma::data
