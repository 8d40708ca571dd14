// The recurrent cells: for each a function that lists its arrays and says what one time step does.
#include <utility>

#include "soma/error.h"
#include "soma/recurrent.h"
#include "src/base/text.h"

namespace soma {

namespace {

using Values = std::vector<Value>;

void check_sizes(std::string_view cell, std::initializer_list<int64_t> sizes) {
  for (const int64_t size : sizes) {
    if (size >= 1) continue;
    throw ArgumentError(
        cat("a cell of kind ", cell, " needs at least one input and one unit, ", "found ", size));
  }
}

/// The arrays that most cells have: `gates` blocks of weights side by side, over the input and,
/// with `recurrent` rows, over the state.
std::vector<CellArray> gate_arrays(int64_t features, int64_t recurrent, int64_t gates,
                                   int64_t units, const CellStarts& starts, bool bias = true) {
  std::vector<CellArray> arrays{{"weights", {features, gates * units}, starts.weights, true}};
  if (recurrent > 0) {
    arrays.push_back({"recurrent", {recurrent, gates * units}, starts.recurrent, true});
  }
  if (bias) arrays.push_back({"bias", {gates * units}, starts.bias, false});
  return arrays;
}

/// x·W, which leaves the loop.
Value product(const CellStep& at) { return dot(at.x, at.weight("weights")); }
/// Plus the bias, where the cell has one.
Value biased(const CellStep& at, Value sum) {
  const Value bias = at.weight("bias");
  return bias ? sum + bias : sum;
}
/// x·W + h·U + b.
Value sums_of(const CellStep& at) {
  const Value back = dot(at.recurrent(at.states[0]), at.weight("recurrent"));
  return biased(at, product(at) + back);
}

/// old where the gate is 1, fresh where it is 0.
Value blend(Value gate, Value old, Value fresh) { return fresh + gate * (old - fresh); }

/// An activation with parameters of its own gets a scope, so that two may be the same function.
Value apply(const Activation& f, Value x, std::string_view scope) {
  const Graph::Scope named(x.graph(), scope);
  return f(x);
}
/// One function for all units or one for each; neighbours with the same are computed together.
Value apply(const std::vector<Activation>& list, Value x) {
  if (list.size() == 1) return list[0](x);
  Values parts;
  for (size_t i = 0; i < list.size();) {
    size_t end = i;
    while (end < list.size() && list[end] == list[i]) ++end;
    const Value part = slice_axis(x, 1, static_cast<int64_t>(i), static_cast<int64_t>(end));
    parts.push_back(apply(list[i], part, cat("neurons", i, "-", end - 1)));
    i = end;
  }
  return concat(parts, 1);
}

}  // namespace

Value CellStep::weight(std::string_view name) const {
  for (size_t i = 0; i < cell.weights.size(); ++i) {
    if (cell.weights[i].name == name) return weights[i];
  }
  return {};
}

Cell rnn_cell(int64_t features, int64_t units, std::vector<Activation> f,
              const RnnOptions& options) {
  check_sizes("rnn", {features, units});
  if (f.size() != 1 && static_cast<int64_t>(f.size()) != units) {
    throw ArgumentError(cat("an rnn cell of ", units, " units has ", f.size(),
                            " activation functions; give one for all or one per unit"));
  }
  const double leak = options.leak;
  if (!(leak > 0 && leak <= 1)) {
    throw ArgumentError(cat("the leak of an rnn cell is in (0, 1], found ", leak));
  }
  for (const Activation& each : f) {
    if (each.row().vector && f.size() > 1) {
      throw ArgumentError(cat("the activation function ", each.text(), " looks at several units ",
                              "and cannot belong to one of them; use it for the whole cell"));
    }
  }
  Cell cell{"rnn",
            gate_arrays(features, units, 1, units, options.starts, options.bias),
            {{"h", {units}}},
            {}};
  cell.step = [f = std::move(f), leak](const CellStep& at) -> Values {
    const Value fresh = apply(f, sums_of(at));
    return {leak == 1 ? fresh : fresh * leak + at.states[0] * (1 - leak)};
  };
  return cell;
}

Cell jordan_cell(int64_t features, int64_t units, int64_t outputs, const Activation& f,
                 const Activation& g, const CellStarts& starts) {
  check_sizes("jordan", {features, units, outputs});
  Cell cell{"jordan", gate_arrays(features, outputs, 1, units, starts), {{"y", {outputs}}}, {}};
  cell.weights.push_back({"output", {units, outputs}, starts.weights, true});
  cell.weights.push_back({"output_bias", {outputs}, starts.bias, false});
  cell.step = [f, g](const CellStep& at) -> Values {
    const Value hidden = apply(f, sums_of(at), "hidden");
    return {apply(g, dot(hidden, at.weight("output")) + at.weight("output_bias"), "output")};
  };
  return cell;
}

namespace {

/// The arrays of an LSTM with `gates` gates (three if i and f are coupled).
std::vector<CellArray> lstm_arrays(int64_t features, int64_t units, const LstmOptions& options) {
  const int64_t gates = options.coupled ? 3 : 4, outputs = options.projection;
  CellStarts starts = options.starts;
  if (options.forget_bias != 0 && !options.coupled && starts.bias == "0") {
    starts.bias = cat("block(value=", number(options.forget_bias), " index=1 blocks=4)");
  }
  auto arrays =
      gate_arrays(features, outputs ? outputs : units, gates, units, starts, options.bias);
  if (options.peephole) arrays.push_back({"peephole", {(gates - 1) * units}, "0", true});
  if (outputs) arrays.push_back({"projection", {units, outputs}, starts.weights, true});
  return arrays;
}

Values lstm_step(const CellStep& at, const LstmOptions& options) {
  const Value c = at.states[1], peephole = at.weight("peephole");
  const int gates = options.coupled ? 3 : 4;
  const Values z = split(sums_of(at), gates, 1);
  const Values p = peephole ? split(peephole, gates - 1, 0) : Values(3);
  const auto gate = [&](Value sum, Value link, Value cell, std::string_view name) {
    return apply(options.gate, link ? sum + link * cell : sum, name);
  };
  const Value in = gate(z[0], p[0], c, "input_gate");
  const Value fresh = apply(options.activation, options.coupled ? z[1] : z[2], "candidate");
  const Value next =
      options.coupled ? blend(in, fresh, c) : gate(z[1], p[1], c, "forget_gate") * c + in * fresh;
  const Value last_link = options.coupled ? p[1] : p[2];
  const Value out =
      gate(z.back(), last_link, next, "output_gate") * apply(options.hidden, next, "hidden");
  return {options.projection ? dot(out, at.weight("projection")) : out, next};
}

}  // namespace

Cell lstm_cell(int64_t features, int64_t units, const LstmOptions& options) {
  check_sizes("lstm", {features, units});
  if (options.projection < 0) {
    throw ArgumentError(cat("the projection of an lstm cell has a size of 1 or more, or 0 for ",
                            "none; found ", options.projection));
  }
  const int64_t outputs = options.projection ? options.projection : units;
  return {"lstm",
          lstm_arrays(features, units, options),
          {{"h", {outputs}}, {"c", {units}}},
          [options](const CellStep& at) { return lstm_step(at, options); }};
}

namespace {

Values gru_step(const CellStep& at, const GruOptions& options) {
  const Value h = at.states[0], u = at.weight("recurrent");
  const int64_t units = h.extent(1);
  const bool after = options.reset == Reset::after;
  const Value in = biased(at, product(at));
  const auto part = [](Value x, int64_t lo, int64_t hi) { return slice_axis(x, 1, lo, hi); };
  const Value back = dot(at.recurrent(h), after ? u : part(u, 0, 2 * units));
  const Value r = apply(options.gate, part(in, 0, units) + part(back, 0, units), "reset_gate");
  const Value z =
      apply(options.gate, part(in, units, 2 * units) + part(back, units, 2 * units), "update_gate");
  Value candidate;
  if (after) {
    candidate = part(back, 2 * units, 3 * units);
    if (const Value bias = at.weight("recurrent_bias")) candidate = candidate + bias;
    candidate = r * candidate;
  } else {
    candidate = dot(r * at.recurrent(h), part(u, 2 * units, 3 * units));
  }
  const Value n =
      apply(options.activation, part(in, 2 * units, 3 * units) + candidate, "candidate");
  return {blend(z, h, n)};
}

}  // namespace

Cell gru_cell(int64_t features, int64_t units, const GruOptions& options) {
  check_sizes("gru", {features, units});
  Cell cell{"gru",
            gate_arrays(features, units, 3, units, options.starts, options.bias),
            {{"h", {units}}},
            [options](const CellStep& at) { return gru_step(at, options); }};
  if (options.bias && options.reset == Reset::after) {
    cell.weights.push_back({"recurrent_bias", {units}, options.starts.bias, false});
  }
  return cell;
}

Cell mgu_cell(int64_t features, int64_t units, const CellStarts& starts) {
  check_sizes("mgu", {features, units});
  return {"mgu",
          gate_arrays(features, units, 2, units, starts),
          {{"h", {units}}},
          [](const CellStep& at) -> Values {
            const Value h = at.states[0];
            const Values z = split(biased(at, product(at)), 2, 1);
            const Values u = split(at.weight("recurrent"), 2, 1);
            const Value f = sigmoid(z[0] + dot(at.recurrent(h), u[0]));
            const Value n = tanh(z[1] + dot(f * at.recurrent(h), u[1]));
            return {blend(f, n, h)};
          }};
}

Cell indrnn_cell(int64_t features, int64_t units, const Activation& f, const CellStarts& starts) {
  check_sizes("indrnn", {features, units});
  Cell cell{"indrnn", gate_arrays(features, 0, 1, units, starts), {{"h", {units}}}, {}};
  cell.weights.push_back({"recurrent", {units}, starts.recurrent, true});
  cell.step = [f](const CellStep& at) -> Values {
    return {f(biased(at, product(at) + at.weight("recurrent") * at.recurrent(at.states[0])))};
  };
  return cell;
}

Cell mingru_cell(int64_t features, int64_t units, const CellStarts& starts) {
  check_sizes("mingru", {features, units});
  return {"mingru",
          gate_arrays(features, 0, 2, units, starts),
          {{"h", {units}}},
          [](const CellStep& at) -> Values {
            const Values z = split(biased(at, product(at)), 2, 1);
            return {blend(sigmoid(z[0]), z[1], at.states[0])};
          }};
}

Cell minlstm_cell(int64_t features, int64_t units, const CellStarts& starts) {
  check_sizes("minlstm", {features, units});
  return {"minlstm",
          gate_arrays(features, 0, 3, units, starts),
          {{"h", {units}}},
          [](const CellStep& at) -> Values {
            const Values z = split(biased(at, product(at)), 3, 1);
            const Value forget = sigmoid(z[0]), in = sigmoid(z[1]);
            return {blend(forget / (forget + in), at.states[0], z[2])};
          }};
}

Cell sru_cell(int64_t features, int64_t units, const CellStarts& starts) {
  check_sizes("sru", {features, units});
  const int64_t gates = features == units ? 3 : 4;
  Cell cell{"sru", gate_arrays(features, 0, gates, units, starts, false), {}, {}};
  cell.weights.push_back({"recurrent", {2 * units}, starts.recurrent, true});
  cell.weights.push_back({"bias", {2 * units}, starts.bias, false});
  cell.states = {{"h", {units}}, {"c", {units}}};
  cell.step = [gates](const CellStep& at) -> Values {
    const Value c = at.states[1], back = at.recurrent(c);
    const Values z = split(product(at), static_cast<int>(gates), 1);
    const Values v = split(at.weight("recurrent"), 2, 0), b = split(at.weight("bias"), 2, 0);
    const Value forget = sigmoid(z[1] + v[0] * back + b[0]);
    const Value reset = sigmoid(z[2] + v[1] * back + b[1]);
    const Value next = blend(forget, c, z[0]);
    return {blend(reset, next, gates == 4 ? z[3] : at.x), next};
  };
  return cell;
}

Cell qrnn_cell(int64_t features, int64_t units, int64_t window, const CellStarts& starts) {
  check_sizes("qrnn", {features, units});
  if (window != 1 && window != 2) {
    throw ArgumentError(cat("the window of a qrnn cell is 1 or 2 steps, found ", window));
  }
  Cell cell{"qrnn", gate_arrays(features, 0, 3, units, starts), {}, {}};
  cell.states = {{"h", {units}}, {"c", {units}}};
  if (window == 2) {
    cell.weights.push_back({"previous", {features, 3 * units}, starts.weights, true});
    cell.states.push_back({"x", {features}});
  }
  cell.step = [window](const CellStep& at) -> Values {
    Value sum = biased(at, product(at));
    if (window == 2) sum = sum + dot(at.states[2], at.weight("previous"));
    const Values z = split(sum, 3, 1);
    const Value next = blend(sigmoid(z[1]), at.states[1], tanh(z[0]));
    Values states{sigmoid(z[2]) * next, next};
    if (window == 2) states.push_back(at.x);
    return states;
  };
  return cell;
}

Cell ltc_cell(int64_t features, int64_t units, double elapsed, int64_t unfolds,
              const CellStarts& starts) {
  check_sizes("ltc", {features, units});
  if (!(elapsed > 0) || unfolds < 1) {
    throw ArgumentError(cat("an ltc cell needs a time between steps above 0 and at least one ",
                            "unfolding, found ", elapsed, " and ", unfolds));
  }
  Cell cell{"ltc", gate_arrays(features, units, 1, units, starts), {{"h", {units}}}, {}};
  cell.weights.push_back({"reversal", {units}, "uniform(low=-1 high=1)", false});
  cell.weights.push_back({"log_tau", {units}, "0", false});
  cell.step = [delta = elapsed / static_cast<double>(unfolds), unfolds](const CellStep& at) {
    const Value in = biased(at, product(at)), rate = exp(-at.weight("log_tau"));
    Value h = at.states[0];
    for (int64_t i = 0; i < unfolds; ++i) {
      const Value s = sigmoid(in + dot(at.recurrent(h), at.weight("recurrent")));
      h = (h + delta * (s * at.weight("reversal"))) / (1.0 + delta * (rate + s));
    }
    return Values{h};
  };
  return cell;
}

Cell cfc_cell(int64_t features, int64_t units, double elapsed, const CellStarts& starts) {
  check_sizes("cfc", {features, units});
  return {"cfc",
          gate_arrays(features, units, 4, units, starts),
          {{"h", {units}}},
          [elapsed](const CellStep& at) -> Values {
            const Values z = split(sums_of(at), 4, 1);
            return {blend(sigmoid(elapsed * z[2] + z[3]), tanh(z[1]), tanh(z[0]))};
          }};
}

Cell conv_lstm_cell(const Shape& sample, int64_t filters, const Dims& window, double forget_bias) {
  if (sample.rank() < 2 || window.size() != sample.rank() - 1) {
    throw ArgumentError(cat("a convolutional lstm cell takes samples [channels, …space] and a ",
                            "window with an extent for each axis of space, found ", sample, " and ",
                            window));
  }
  ConvAttr attr;
  Shape in{4 * filters, sample[0]}, back{4 * filters, filters}, state{filters},
      per_filter{4 * filters};
  for (int i = 0; i < window.size(); ++i) {
    if (window[i] % 2 != 1) {
      throw ArgumentError(cat("the window of a convolutional lstm cell has odd extents, so that ",
                              "padding keeps the size; found ", window));
    }
    in.push_back(window[i]);
    back.push_back(window[i]);
    state.push_back(sample[i + 1]);
    per_filter.push_back(1);
    attr.lo.push_back(window[i] / 2);
    attr.hi.push_back(window[i] / 2);
    attr.stride.push_back(1);
    attr.dilation.push_back(1);
  }
  check_sizes("conv_lstm", {sample.elements(), filters});
  const std::string start = cat("block(value=", number(forget_bias), " index=1 blocks=4)");
  return {"conv_lstm",
          {{"weights", in, "glorot_uniform", true},
           {"recurrent", back, "orthogonal", true},
           {"bias", {4 * filters}, start, false}},
          {{"h", state}, {"c", state}},
          [attr, per_filter](const CellStep& at) -> Values {
            const Value back_sum = conv(at.recurrent(at.states[0]), at.weight("recurrent"), attr);
            const Value bias = reshape(at.weight("bias"), per_filter);
            const Values z = split(conv(at.x, at.weight("weights"), attr) + back_sum + bias, 4, 1);
            const Value next = sigmoid(z[1]) * at.states[1] + sigmoid(z[0]) * tanh(z[2]);
            return {sigmoid(z[3]) * tanh(next), next};
          }};
}

}  // namespace soma
