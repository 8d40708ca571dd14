// Plans for people and programs: the report as JSON, and the arena as a drawing.
#include "soma/plan_report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "soma/inspect.h"
#include "src/base/text.h"
#include "src/inspect/svg.h"

namespace soma {

namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json json_of(const T& value) {
  if constexpr (std::is_arithmetic_v<T> || std::is_convertible_v<T, std::string_view>) {
    return value;
  } else if constexpr (requires { value.begin(); }) {
    Json array = Json::array();
    for (const auto& element : value) array.push_back(json_of(element));
    return array;
  } else {
    Json object;
    T::fields(value, [&](const char* name, const auto& field) { object[name] = json_of(field); });
    return object;
  }
}

}  // namespace

std::string to_json(const PlanReport& report) {
  Json object = json_of(report);
  object["flops"] = report.flops();
  object["bytes"] = report.bytes();
  object["barriers"] = report.barriers();
  object["seconds"] = report.seconds();
  for (size_t i = 0; i < report.instructions.size(); ++i) {
    object["instructions"][i]["seconds_at_limit"] = report.seconds_at_limit(report.instructions[i]);
  }
  return object.dump(2) + "\n";
}

std::string draw_memory(const PlanReport& report) {
  constexpr double left = 24, top = 64, height = 480, least_column = 3, width_wanted = 960;
  const auto count = static_cast<double>(std::max<size_t>(report.instructions.size(), 1));
  const double column = std::clamp(width_wanted / count, least_column, 48.0);
  const double scale = height / static_cast<double>(std::max<size_t>(report.arena_bytes, 1));
  Svg svg;
  svg.text({left, 28},
           cat("The arena of ", grouped(static_cast<int64_t>(report.arena_bytes)), " bytes"),
           "name", Svg::Anchor::start);
  svg.text({left, 46},
           cat("From left to right the ", report.instructions.size(),
               " instructions, from top to bottom the addresses"),
           "note", Svg::Anchor::start);
  std::map<std::string, size_t> colours;  // by layer: what stands before the colon
  for (const auto& buffer : report.arena) {
    const std::string layer = buffer.holds.substr(0, buffer.holds.find(':'));
    const size_t colour = colours.try_emplace(layer, colours.size()).first->second;
    const Svg::Point corner{left + column * static_cast<double>(buffer.first),
                            top + scale * static_cast<double>(buffer.offset)};
    const double wide = column * static_cast<double>(buffer.last + 1 - buffer.first);
    const double high = std::max(scale * static_cast<double>(buffer.bytes), 0.5);
    // Hues a golden angle apart stay distinct, however many there are.
    svg.rect(corner, wide, high, 1, "box",
             cat("fill=\"hsl(", colour * 137 % 360,
                 " 60% 60%)\" stroke=\"#6b7280\" "
                 "fill-opacity=\"0.7\""),
             cat(buffer.holds, ", ", grouped(static_cast<int64_t>(buffer.bytes)), " bytes at ",
                 buffer.offset, ", instructions ", buffer.first, " to ", buffer.last));
    if (high >= 12 && wide >= 80) {
      svg.text({corner.x + 4, corner.y + std::min(high - 2, 11.0)},
               excerpt(buffer.holds, static_cast<size_t>(wide / 5)), "small", Svg::Anchor::start);
    }
  }
  return svg.finish(2 * left + std::max(column * count, 320.0), top + height + left,
                    "Memory map of a plan");
}

}  // namespace soma
