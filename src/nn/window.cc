#include "src/nn/window.h"

#include <algorithm>

#include "soma/error.h"
#include "src/base/text.h"

namespace soma {

namespace {

// Products of two such numbers do not overflow.
constexpr int64_t limit = int64_t{1} << 31;

void pad_same(WindowAxis& axis, bool odd_in_front) {
  const int64_t places = (axis.extent + axis.stride - 1) / axis.stride;
  const int64_t total =
      std::max<int64_t>((places - 1) * axis.stride + axis.reach() + 1 - axis.extent, 0);
  axis.lo = odd_in_front ? total - total / 2 : total / 2;
  axis.hi = total - axis.lo;
}

void pad_axis(std::string_view who, WindowAxis& axis, const Padding& padding, int i, int axes) {
  switch (padding.kind) {
    case Padding::Kind::valid: break;
    case Padding::Kind::same: pad_same(axis, false); break;
    case Padding::Kind::same_lower: pad_same(axis, true); break;
    case Padding::Kind::causal:
      if (axes != 1) {
        throw ShapeError(cat(who, ": causal padding is for one spatial axis, found ", axes,
                             "; use explicit numbers instead"));
      }
      axis.lo = axis.reach();
      break;
    case Padding::Kind::sides:
      axis.lo = entry(who, "padding", padding.lo, i, axes, 0, 0);
      axis.hi = entry(who, "padding", padding.hi, i, axes, 0, 0);
      break;
  }
}

void place_windows(std::string_view who, WindowAxis& axis, int i, bool ceil_mode) {
  const int64_t room = axis.padded() - axis.reach() - 1;
  if (room < 0) {
    throw ShapeError(cat(who, ": a window of ", axis.size, " elements",
                         axis.dilation > 1 ? cat(" at distance ", axis.dilation) : "",
                         " reaches over ", axis.reach() + 1, ", but spatial axis ", i, " has only ",
                         axis.padded(), axis.lo + axis.hi ? " with its padding" : "",
                         "; use a smaller window or more padding"));
  }
  axis.places = room / axis.stride + 1;
  if (!ceil_mode || room % axis.stride == 0) return;
  // One more window, unless it would start in the padding behind.
  if (axis.places * axis.stride >= axis.extent + axis.lo) return;
  axis.behind = axis.places * axis.stride - room;
  ++axis.places;
}

}  // namespace

int64_t entry(std::string_view who, std::string_view what, const Dims& list, int i, int axes,
              int64_t otherwise, int64_t least) {
  if (list.size() > 1 && list.size() != axes) {
    throw ShapeError(cat(who, ": ", what, " ", list, " needs one entry for each of ", axes,
                         " spatial axes, or one for all"));
  }
  const int64_t value = list.empty() ? otherwise : list[list.size() == 1 ? 0 : i];
  if (value < least || value >= limit) {
    throw ShapeError(cat(who, ": ", what, " ", list, " must be ", least, " or more",
                         value >= limit ? " and not that large" : ""));
  }
  return value;
}

int spatial_axes(std::string_view who, const Shape& x) {
  const int axes = x.rank() - 2;
  if (axes < 1 || axes > 3) {
    throw ShapeError(cat(who,
                         ": needs an array [batch, channels, spatial…] with one to three "
                         "spatial axes, found the shape ",
                         x));
  }
  return axes;
}

std::vector<WindowAxis> window_axes(std::string_view who, const Shape& x,
                                    const WindowOptions& options) {
  const int axes = spatial_axes(who, x);
  if (options.size.empty()) throw ShapeError(cat(who, ": the size of the window is missing"));
  std::vector<WindowAxis> result;
  for (int i = 0; i < axes; ++i) {
    WindowAxis axis;
    axis.extent = x[i + 2];
    axis.size = entry(who, "window", options.size, i, axes, 1, 1);
    axis.stride = entry(who, "stride", options.stride, i, axes, 1, 1);
    axis.dilation = entry(who, "dilation", options.dilation, i, axes, 1, 1);
    pad_axis(who, axis, options.padding, i, axes);
    place_windows(who, axis, i, options.ceil_mode);
    result.push_back(axis);
  }
  return result;
}

Value padded(Value x, const std::vector<WindowAxis>& axes, double value) {
  Dims lo{0, 0}, hi{0, 0};
  for (const WindowAxis& axis : axes) {
    lo.push_back(axis.lo);
    hi.push_back(axis.hi + axis.behind);
  }
  return pad(x, lo, hi, {}, value);
}

int64_t links_of(const std::vector<WindowAxis>& axes) {
  int64_t links = 1;
  for (const WindowAxis& axis : axes) {
    int64_t along = 0;
    for (int64_t k = 0; k < axis.size; ++k) {
      // The places whose element k lies inside: 0 <= place·stride + shift < extent.
      const int64_t shift = k * axis.dilation - axis.lo;
      const int64_t first = shift >= 0 ? 0 : (-shift + axis.stride - 1) / axis.stride;
      const int64_t room = axis.extent - 1 - shift;
      const int64_t last = room < 0 ? -1 : std::min(axis.places - 1, room / axis.stride);
      along += std::max<int64_t>(last - first + 1, 0);
    }
    links *= along;
  }
  return links;
}

Dims places_of(const std::vector<WindowAxis>& axes) {
  Dims places;
  for (const WindowAxis& axis : axes) places.push_back(axis.places);
  return places;
}

// ---- Padding as text

namespace {

std::string sides_text(const Dims& dims) { return join(dims, "x"); }

Dims read_sides(std::string_view text) {
  Dims result;
  for (const std::string_view part : split(text, 'x')) {
    int64_t value = 0;
    if (part.empty() || part.size() > 9 || result.size() == 3) value = -1;
    for (const char c : part) {
      if (c < '0' || c > '9') value = -1;
      if (value >= 0) value = value * 10 + (c - '0');
    }
    if (value < 0) {
      throw ArgumentError("valid, same, same_lower, causal, or numbers such as 1, 1x2 or 1x2/0x2");
    }
    result.push_back(value);
  }
  return result;
}

}  // namespace

Padding Reader<Padding>::read(std::string_view text) {
  if (text == "valid") return Padding::valid();
  if (text == "same") return Padding::same();
  if (text == "same_lower") return Padding::same_lower();
  if (text == "causal") return Padding::causal();
  const size_t slash = text.find('/');
  const Dims lo = read_sides(text.substr(0, slash));
  return {lo, slash == text.npos ? lo : read_sides(text.substr(slash + 1))};
}

std::string Reader<Padding>::write(const Padding& padding) {
  switch (padding.kind) {
    case Padding::Kind::valid: return "valid";
    case Padding::Kind::same: return "same";
    case Padding::Kind::same_lower: return "same_lower";
    case Padding::Kind::causal: return "causal";
    case Padding::Kind::sides: break;
  }
  const std::string lo = sides_text(padding.lo), hi = sides_text(padding.hi);
  return lo == hi ? lo : cat(lo, "/", hi);
}

}  // namespace soma
