// Learning-rate schedules: functions of the step, built into the graph.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "soma/error.h"
#include "soma/optim.h"
#include "src/base/text.h"

namespace soma {

namespace {

// base^x for a number above 0.
Value power(double base, Value x) { return exp(x * std::log(base)); }
// Without the fraction, for x >= 0.
Value whole(Value x) { return cast(cast(x, i64), x.type()); }

Value constant_like(Value t, double value) { return t.graph().constant(value, t.type()); }

// How many of the bounds are at t or before.
Value passed(Value t, const std::vector<double>& bounds) {
  Value count = constant_like(t, 0);
  for (const double bound : bounds) count = count + cast(t >= bound, t.type());
  return count;
}

// 0 at the start of a cycle of 2 half, 1 in its middle.
Value wave(Value t, double half) {
  const Value part = t / (2 * half) - whole(t / (2 * half));
  return 1.0 - abs(2.0 * part - 1.0);
}

// 1 to 0, as half a cosine.
Value half_cosine(Value part) { return 0.5 + 0.5 * cos(std::numbers::pi * part); }

Value restarts(Value t, double lr, double steps, double grow, double end, double shrink) {
  Value cycle, part;
  if (grow == 1) {
    cycle = whole(t / steps);
    part = t / steps - cycle;
  } else {  // the logarithm may miss a boundary by rounding: the start decides
    const auto start = [&](Value n) { return (steps / (grow - 1)) * (power(grow, n) - 1.0); };
    cycle = whole(log1p(t * ((grow - 1) / steps)) * (1 / std::log(grow)));
    cycle = cycle + cast(t + 1e-3 >= start(cycle + 1.0), t.type());
    cycle = cycle - cast(t + 1e-3 < start(cycle), t.type());
    part = max(t - start(cycle), 0.0) / (steps * power(grow, cycle));
  }
  return end + (lr * power(shrink, cycle) - end) * half_cosine(part);
}

Value up_and_down(Value t, double lr, double steps, double rise, double divide, double end_divide,
                  bool lines) {
  const double first = lr / divide, last = first / end_divide;
  const double top = rise * steps - 1, bottom = steps - 1;
  if (top <= 0)
    throw ArgumentError(cat("one_cycle has no step to rise in: rise times steps is ",
                            Reader<double>::write(rise * steps), ", needed above 1"));
  const auto shape = [&](Value part) { return lines ? 1.0 - part : half_cosine(part); };
  const Value up = lr + (first - lr) * shape(min(t / top, 1.0));
  const Value down = last + (lr - last) * shape(min(max((t - top) / (bottom - top), 0.0), 1.0));
  return select(t <= top, up, down);
}

// Throws ArgumentError unless the list rises.
void check_rising(const char* what, const std::vector<double>& list) {
  for (size_t i = 1; i < list.size(); ++i) {
    if (list[i] <= list[i - 1]) {
      throw ArgumentError(cat("the ", what, " of a schedule must rise; found ",
                              Reader<double>::write(list[i]), " after ",
                              Reader<double>::write(list[i - 1])));
    }
  }
}

Value stairs(Value t, const std::vector<double>& bounds, const std::vector<double>& values) {
  check_rising("bounds", bounds);
  if (values.size() != bounds.size() + 1) {
    throw ArgumentError(cat("piecewise_constant needs one value more than bounds; found ",
                            values.size(), " values and ", bounds.size(), " bounds"));
  }
  Value result = constant_like(t, values[0]);
  for (size_t i = 0; i < bounds.size(); ++i) result = select(t >= bounds[i], values[i + 1], result);
  return result;
}

Value lines_between(Value t, const std::vector<double>& steps, const std::vector<double>& values) {
  check_rising("steps", steps);
  if (steps.empty() || values.size() != steps.size()) {
    throw ArgumentError(cat("piecewise_linear needs a value for each step; found ", values.size(),
                            " values and ", steps.size(), " steps"));
  }
  Value result = constant_like(t, values[0]);
  for (size_t i = 1; i < steps.size(); ++i) {
    const double length = steps[i] - steps[i - 1], height = values[i] - values[i - 1];
    result = result + height * min(max((t - steps[i - 1]) / length, 0.0), 1.0);
  }
  return result;
}

Registry<ScheduleRow> built_in_schedules() {
  Registry<ScheduleRow> registry("schedule");
#define SOMA_SCHEDULE(name, formula, source, note, specification, arguments, ...)               \
  {                                                                                             \
    const auto at = +[] arguments -> Value { return __VA_ARGS__; };                             \
    using Rows = detail::Bind<Value, Value>;                                                    \
    registry.add(                                                                               \
        {{#name, formula, source, note, Rows::parameters(at, specification)}, Rows::call(at)}); \
  }
#include "soma/schedules.def"
  return registry;
}

}  // namespace

Registry<ScheduleRow>& schedules() {
  static Registry<ScheduleRow> registry = built_in_schedules();
  return registry;
}

std::string Schedule::text() const {
  return named_.name() == "constant" ? named_.arguments()[0] : named_.text();
}

Schedule schedule_named(std::string_view text) {
  double value = 0;
  try {
    value = Reader<double>::read(trim(text));
  } catch (const ArgumentError&) {
    return Schedule(Named<ScheduleRow>(schedules(), text));
  }
  return value;
}

Schedule Reader<Schedule>::read(std::string_view text) {
  try {
    return schedule_named(text);
  } catch (const ArgumentError& e) {
    throw ArgumentError(cat("a number or a schedule (", e.what(), ")"));
  }
}

#define SOMA_SCHEDULE(name, ...)                                                          \
  Schedule name(Argument a, Argument b, Argument c, Argument d, Argument e, Argument f) { \
    return Schedule(#name, {a, b, c, d, e, f});                                           \
  }
#include "soma/schedules.def"

}  // namespace soma
