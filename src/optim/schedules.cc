// Learning-rate schedules: functions of the step, built into the graph.
#include <cmath>

#include "soma/error.h"
#include "soma/optim.h"
#include "src/base/text.h"

namespace soma {

namespace {

// base^x for a number above 0.
Value power(double base, Value x) { return exp(x * std::log(base)); }
// Without the fraction, for x >= 0.
Value whole(Value x) { return cast(cast(x, i64), x.type()); }

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

#define SOMA_SCHEDULE(name, ...) \
  Schedule name(Argument a, Argument b, Argument c) { return Schedule(#name, {a, b, c}); }
#include "soma/schedules.def"

}  // namespace soma
