// The first layer of a network for tables: raw columns in, numbers that learn well out.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "soma/error.h"
#include "src/base/text.h"
#include "src/nn/layer_kinds.h"

namespace soma {

namespace {

/// 1 where the value is missing: NaN alone is not equal to itself.
Value is_missing(Value x) { return ne(x, x); }

/// With `missing`, one more number that says so.
Value with_mark(Value encoded, Value x, bool missing) {
  return missing ? concat({encoded, cast(is_missing(x), x.type())}, 1) : encoded;
}

/// Missing values become the mean. One mean and deviation, or one for each column.
template <class Numbers>
Value standardized(Value x, const Numbers& mean, const Numbers& deviation) {
  return select(is_missing(x), 0.0, (x - mean) / deviation);
}

Value encode_number(LayerBuild&, Value x, int64_t, double mean, double deviation, bool missing) {
  return with_mark(standardized(x, mean, deviation), x, missing);
}

Value encode_date(LayerBuild&, Value x, int64_t, double mean, double deviation, bool missing) {
  const Value day = select(is_missing(x), mean, x);
  std::vector<Value> parts{standardized(x, mean, deviation)};
  for (const double period : {365.2425, 7.0}) {
    const double begin = period * std::floor(mean / period);  // small angles are exact
    const Value angle = (day - begin) * (2 * std::numbers::pi / period);
    parts.push_back(sin(angle));
    parts.push_back(cos(angle));
  }
  return with_mark(concat(parts, 1), x, missing);
}

Value encode_one_hot(LayerBuild& at, Value x, int64_t, int64_t categories, bool missing) {
  const Value place = iota(at.graph(), {at.batch(), categories}, 1, i32);
  return with_mark(cast(eq(cast(place, x.type()), x), x.type()), x, missing);
}

Value encode_embedding(LayerBuild& at, Value x, int64_t column, int64_t categories, int64_t width,
                       Start start) {
  const Value table = at.parameter(cat("embedding", column), {categories + 1, width}, start.text);
  const auto other = static_cast<double>(categories);
  const Value place = select(is_missing(x), other, min(x, other));
  return reshape(gather(table, cast(reshape(place, {at.batch()}), i32)), {at.batch(), width});
}

template <class... Args>
EncodingRow row_of(const char* name, const char* does,
                   Value (*build)(LayerBuild&, Value, int64_t, Args...),
                   std::string_view specification) {
  using Binder = detail::Bind<Value, LayerBuild&, Value, int64_t>;
  EncodingRow row{{name, does, "", "", {}}, Binder::call(build)};
  row.parameters = Binder::parameters(build, specification);
  return row;
}

}  // namespace

const Registry<EncodingRow>& encodings() {
  static const Registry<EncodingRow> registry = [] {
    Registry<EncodingRow> rows("encoding");
    rows.add(row_of("number", "(x - mean) / deviation, and 0 where it is missing", encode_number,
                    "mean=0, deviation=1 in (0,inf), missing=false"));
    rows.add(row_of("date",
                    "days: as number, and sine and cosine of the day in the year and in the week",
                    encode_date, "mean=0, deviation=1 in (0,inf), missing=false"));
    rows.add(row_of("one_hot", "1 at the place of the category, else 0", encode_one_hot,
                    "categories in [1,inf), missing=false"));
    rows.add(row_of(
        "embedding", "a trained vector for each category, and one for missing and unknown ones",
        encode_embedding, "categories in [1,inf), width in [1,inf), start=normal(std=0.05)"));
    return rows;
  }();
  return registry;
}

Encodings Reader<Encodings>::read(std::string_view text) {
  constexpr std::string_view wanted = "columns like [number(43.9 5.5) one_hot(3)]";
  if (!text.starts_with('[') || !text.ends_with(']')) throw ArgumentError(std::string(wanted));
  Encodings result;
  try {
    for (const std::string_view item :
         detail::split_outside(text.substr(1, text.size() - 2), ' ')) {
      if (!trim(item).empty()) result.list.emplace_back(encodings(), trim(item));
    }
  } catch (const ArgumentError& error) {
    throw ArgumentError(cat(wanted, " (", error.what(), ")"));
  }
  return result;
}

std::string Reader<Encodings>::write(const Encodings& encodings) {
  std::vector<std::string> items;
  for (const auto& encoding : encodings.list) items.push_back(encoding.text());
  return cat("[", join(items, " "), "]");
}

/// A number and nothing else, "number(43.9 5.5)".
static bool is_plain_number(const Named<EncodingRow>& encoding) {
  return encoding.name() == "number" && encoding.arguments()[2] == "false";
}

/// Plain numbers side by side, by one operation for all.
static Value encode_numbers(Value x, std::span<const Named<EncodingRow>> encodings) {
  const auto row_of = [&](size_t argument) {
    std::vector<Value> places;
    for (const auto& encoding : encodings) {
      const double n = Reader<double>::read(encoding.arguments()[argument]);
      places.push_back(x.graph().constant(n, {1, 1}, x.type()));
    }
    return concat(places, 1);
  };
  return standardized(x, row_of(0), row_of(1));
}

Value build_table(LayerBuild& at, Encodings columns) {
  const Value x = at.in();
  const auto count = static_cast<int64_t>(columns.list.size());
  if (x.rank() != 2 || x.extent(1) != count || count == 0) {
    at.fail(cat("has encodings for ", count, " columns, but a row is ", x.shape(),
                " (with the batch in front)"));
  }
  std::vector<Value> parts;
  const std::span<const Named<EncodingRow>> list = columns.list;
  for (size_t i = 0, end = 0; i < list.size(); i = end) {
    while (end < list.size() && is_plain_number(list[end])) ++end;
    end = std::max(end, i + 1);
    const auto first = static_cast<int64_t>(i);
    const Value column = slice_axis(x, 1, first, static_cast<int64_t>(end));
    parts.push_back(end > i + 1 ? encode_numbers(column, list.subspan(i, end - i))
                                : list[i].row().build(at, column, first, list[i].arguments()));
  }
  return at.taps().in = parts.size() == 1 ? parts[0] : concat(parts, 1);
}

}  // namespace soma
