// Reductions, broadcasts, fills and strided copies against plain loops.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "soma/tensor.h"
#include "src/backends/cpu/isa.h"
#include "src/base/philox.h"
#include "src/base/visit.h"

namespace soma::cpu {
namespace {

template <class T>
std::vector<T> samples(int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<T> values;
  const double least = std::is_unsigned_v<T> ? 0 : -1e3;
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(static_cast<T>(std::max(least, random.normal() * 10 + 20)));
  }
  return values;
}

template <class T>
T combined(Reducer reducer, T a, T b) {
  return reducer == Reducer::max ? std::max(a, b) : static_cast<T>(a + b);
}
template <class T>
T start_of(Reducer reducer) {
  if (reducer == Reducer::sum) return T{};
  return std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                     : std::numeric_limits<T>::lowest();
}
template <class T>
double tolerance(double value) {
  return std::is_floating_point_v<T> ? std::abs(value) * 1e3 * std::numeric_limits<T>::epsilon()
                                     : 0;
}

template <class T>
void check_reductions(const Isa& isa, Reducer reducer) {
  const int which = static_cast<int>(reducer), type = static_cast<int>(dtype_of<T>::value);
  for (int64_t rows : {0, 1, 3, 4, 9, 65})
    for (int64_t cols : {0, 1, 7, 8, 10, 63, 64, 65, 200})
      for (bool accumulate : {false, true}) {
        const int64_t stride = cols + 3;
        const auto dense = samples<T>(rows * cols, 1), strided = samples<T>(rows * stride, 2);
        auto by_row = samples<T>(rows, 3), by_col = samples<T>(cols, 4);
        auto wanted_row = by_row, wanted_col = by_col;
        for (int64_t r = 0; r < rows; ++r) {
          if (!accumulate) wanted_row[r] = start_of<T>(reducer);
          for (int64_t c = 0; c < cols; ++c)
            wanted_row[r] = combined(reducer, wanted_row[r], dense[r * cols + c]);
        }
        for (int64_t c = 0; c < cols; ++c) {
          if (!accumulate) wanted_col[c] = start_of<T>(reducer);
          for (int64_t r = 0; r < rows; ++r)
            wanted_col[c] = combined(reducer, wanted_col[c], strided[r * stride + c]);
        }
        isa.reduce_rows[which][type](by_row.data(), dense.data(), rows, cols, accumulate);
        isa.reduce_cols[which][type](by_col.data(), strided.data(), rows, cols, stride, accumulate);
        for (int64_t r = 0; r < rows; ++r) {
          const double wanted = static_cast<double>(wanted_row[r]),
                       got = static_cast<double>(by_row[r]);
          if (got != wanted) {
            ASSERT_NEAR(got, wanted, tolerance<T>(wanted)) << rows << "x" << cols;
          }
        }
        ASSERT_EQ(by_col, wanted_col) << rows << "x" << cols;  // columns go row by row
      }
}

TEST(Reduce, RowsAndColumnsOfEveryType) {
  for (std::string_view name : isa_names())
    for (Reducer reducer : {Reducer::sum, Reducer::max}) {
      check_reductions<float>(isa_named(name), reducer);
      check_reductions<double>(isa_named(name), reducer);
      check_reductions<int32_t>(isa_named(name), reducer);
      check_reductions<int64_t>(isa_named(name), reducer);
      check_reductions<uint8_t>(isa_named(name), reducer);
    }
}

TEST(Reduce, RowSumsAreTheSameOnEveryInstructionSet) {
  const auto values = samples<float>(7 * 333, 5);
  std::vector<float> first(7);
  isa_named("portable").reduce_rows[0][0](first.data(), values.data(), 7, 333, false);
  for (std::string_view name : isa_names()) {
    std::vector<float> sums(7);
    isa_named(name).reduce_rows[0][0](sums.data(), values.data(), 7, 333, false);
    EXPECT_EQ(sums, first) << name;
  }
}

TEST(Reduce, MaxPropagatesNaN) {
  for (std::string_view name : isa_names())
    for (int64_t at : {0, 5, 63, 64, 99}) {
      auto values = samples<float>(100, 6);
      values[at] = std::nanf("");
      float row = 0;
      std::vector<float> cols(100, 0.0f);
      isa_named(name).reduce_rows[1][0](&row, values.data(), 1, 100, false);
      EXPECT_TRUE(std::isnan(row)) << at;
      isa_named(name).reduce_cols[1][0](cols.data(), values.data(), 1, 100, 100, true);
      EXPECT_TRUE(std::isnan(cols[at]));
    }
}

template <class T>
void check_moves(const Isa& isa) {
  const int width = width_index(sizeof(T));
  for (int64_t rows : {0, 1, 5, 16, 33})
    for (int64_t cols : {0, 1, 3, 16, 17, 70}) {
      const auto src = samples<T>(rows * cols, 1);
      std::vector<T> transposed(src.size()), back(src.size()), spread(src.size());
      isa.copy2d[width](transposed.data(), {1, rows}, src.data(), {cols, 1}, rows, cols);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; ++c) ASSERT_EQ(transposed[c * rows + r], src[r * cols + c]);
      isa.copy2d[width](back.data(), {cols, 1}, transposed.data(), {1, rows}, rows, cols);
      ASSERT_EQ(back, src);
      std::vector<T> wide(static_cast<size_t>(rows * (cols + 2)), T{1});
      isa.copy2d[width](wide.data(), {cols + 2, 1}, src.data(), {cols, 1}, rows, cols);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < cols; ++c) ASSERT_EQ(wide[r * (cols + 2) + c], src[r * cols + c]);
        ASSERT_EQ(wide[r * (cols + 2) + cols], T{1});
      }
      const auto column = samples<T>(rows, 2);
      isa.expand_rows[width](spread.data(), column.data(), rows, cols);
      for (int64_t i = 0; i < rows * cols; ++i) ASSERT_EQ(spread[i], column[i / cols]);
    }
}

TEST(Moves, CopyAndExpandEveryWidth) {
  for (std::string_view name : isa_names()) {
    check_moves<uint8_t>(isa_named(name));
    check_moves<float>(isa_named(name));
    check_moves<double>(isa_named(name));
    check_moves<int64_t>(isa_named(name));
  }
}

template <class T>
void check_strided_copies(const Isa& isa) {
  const int width = width_index(sizeof(T));
  for (const int64_t rows : {1, 2, 5, 17})
    for (const int64_t cols : {1, 2, 3, 14, 16, 33, 70})
      for (const Strides2d from : {Strides2d{0, 1}, {150, 2}, {1, 0}, {3, 0}, {1, 40}, {200, 3}}) {
        // No more memory than the elements span: what is read beyond is found by sanitizers.
        const auto src = samples<T>((rows - 1) * from.row + (cols - 1) * from.col + 1, 5);
        std::vector<T> out(static_cast<size_t>(rows * cols + 1), T{1});
        isa.copy2d[width](out.data(), {cols, 1}, src.data(), from, rows, cols);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < cols; ++c)
            ASSERT_EQ(out[r * cols + c], src[r * from.row + c * from.col])
                << rows << " x " << cols << " by " << from.row << ", " << from.col;
        ASSERT_EQ(out.back(), T{1});
      }
}
TEST(Moves, StridedCopies) {
  for (std::string_view name : isa_names()) {
    check_strided_copies<uint8_t>(isa_named(name));
    check_strided_copies<float>(isa_named(name));
    check_strided_copies<double>(isa_named(name));
  }
}

TEST(Moves, CopyReversesAndBroadcasts) {
  const std::vector<float> src = {1, 2, 3, 4, 5, 6};
  std::vector<float> out(6);
  isa().copy2d[1](out.data(), {3, 1}, &src[2], {3, -1}, 2, 3);
  EXPECT_EQ(out, (std::vector<float>{3, 2, 1, 6, 5, 4}));
  isa().copy2d[1](out.data(), {3, 1}, src.data(), {0, 1}, 2, 3);
  EXPECT_EQ(out, (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

}  // namespace
}  // namespace soma::cpu
