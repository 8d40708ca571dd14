// The transcendental functions of float32 against libm in double: at most 0.52 ulp away (tanh
// and sigmoid, which are evaluated in floats, 2 and 2.5), on every instruction set. The disabled
// test measures all 2^32 arguments; run it after any change:
//   soma_test_cpu --gtest_also_run_disabled_tests --gtest_filter='*AllFloats*'
// Worst of all 2^32 arguments, in ulp, on x86-64-v4: exp 0.5026, log 0.5000, expm1 0.5104,
// log1p 0.5000, tanh 1.6, erf 0.5185, sin 0.5032, cos 0.5031; sqrt is exact.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "src/backends/cpu/isa.h"

namespace soma::cpu {
namespace {

struct Function {
  const char* name;
  MapOp op;
  double (*reference)(double);
  double limit = 0.52;  // ulp
};
const Function functions[] = {
    {"exp", MapOp::exp, [](double x) { return std::exp(x); }},
    {"log", MapOp::log, [](double x) { return std::log(x); }},
    {"expm1", MapOp::expm1, [](double x) { return std::expm1(x); }},
    {"log1p", MapOp::log1p, [](double x) { return std::log1p(x); }},
    {"sqrt", MapOp::sqrt, [](double x) { return std::sqrt(x); }},
    {"tanh", MapOp::tanh, [](double x) { return std::tanh(x); }, 2},
    {"sigmoid", MapOp::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 2.5},
    {"erf", MapOp::erf, [](double x) { return std::erf(x); }},
    {"sin", MapOp::sin, [](double x) { return std::sin(x); }},
    {"cos", MapOp::cos, [](double x) { return std::cos(x); }},
};

/// The distance in units of the last place of the float32 nearest to `truth`; infinite when one is
/// NaN or infinite and the other is not the same.
double ulps(float got, double truth) {
  const float rounded = static_cast<float>(truth);
  if (std::isnan(truth) || std::isnan(got))
    return std::isnan(truth) && std::isnan(got) ? 0 : std::numeric_limits<double>::infinity();
  if (got == rounded) {
    if (std::isinf(got)) return 0;
    if (got == 0 && std::signbit(got) != std::signbit(rounded)) return 1e9;
  } else if (std::isinf(got) || std::isinf(rounded)) {
    return std::numeric_limits<double>::infinity();
  }
  const int exponent = std::max(std::ilogb(rounded == 0 ? 1e-300 : double{rounded}), -126);
  return std::abs(got - truth) / std::ldexp(1.0, exponent - 23);
}

void check_stride(const Isa& isa, const Function& function, uint64_t stride) {
  constexpr int64_t block = 4096;
  std::vector<float> in, out(block);
  double worst = 0;
  float worst_at = 0;
  const auto flush = [&] {
    isa.map[static_cast<int>(function.op)][0](out.data(), in.data(), nullptr, nullptr,
                                              static_cast<int64_t>(in.size()));
    for (size_t i = 0; i < in.size(); ++i) {
      const double distance = ulps(out[i], function.reference(in[i]));
      if (distance > worst) worst = distance, worst_at = in[i];
    }
    in.clear();
  };
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += stride) {
    in.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    if (in.size() == block) flush();
  }
  flush();
  EXPECT_LE(worst, function.limit) << function.name << " of " << worst_at << " on " << isa.name;
  testing::Test::RecordProperty(function.name, std::to_string(worst));
  if (stride == 1) std::printf("%-8s %.4f ulp at %.9g\n", function.name, worst, worst_at);
}

TEST(Vmath, WithinItsLimit) {
  for (std::string_view name : isa_names())
    for (const Function& function : functions) check_stride(isa_named(name), function, 8191);
}

TEST(Vmath, DISABLED_AllFloats) {
  for (const Function& function : functions) check_stride(isa(), function, 1);
}

constexpr float infinity = std::numeric_limits<float>::infinity();
const float nan_value = std::numeric_limits<float>::quiet_NaN();
const std::vector<float> special = {
    0.0f,       -0.0f,     1e-45f,      -1e-45f,     1.1754942e-38f, 1.17549435e-38f,
    -1e-20f,    1e-8f,     0.25f,       -0.25f,      0.5f,           -0.5f,
    0.9999999f, 1.0f,      1.0000001f,  -1.0f,       -1.5f,          2.0f,
    -2.0f,      3.0f,      -3.0f,       88.72283f,   88.72284f,      -87.3f,
    -103.97f,   -104.1f,   1e5f,        -1e5f,       1e6f,           1.0000001e6f,
    3.2e7f,     1e10f,     33554432.0f, 3e38f,       -3e38f,         infinity,
    -infinity,  nan_value, 16777215.0f, -16777218.0f};

TEST(Vmath, SpecialValues) {
  for (std::string_view name : isa_names())
    for (const Function& function : functions) {
      std::vector<float> out(special.size());
      isa_named(name).map[static_cast<int>(function.op)][0](
          out.data(), special.data(), nullptr, nullptr, static_cast<int64_t>(special.size()));
      for (size_t i = 0; i < special.size(); ++i)
        EXPECT_LE(ulps(out[i], function.reference(special[i])), function.limit)
            << function.name << " of " << special[i] << " on " << name << " gave " << out[i];
    }
}

TEST(Vmath, Power) {
  std::vector<float> xs, ys;
  for (float x : special)
    for (float y : special) xs.push_back(x), ys.push_back(y);
  for (uint32_t i = 0; i < 400'000; ++i) {  // positive bases over all magnitudes
    xs.push_back(std::bit_cast<float>(i * 2654435761u & 0x7fffffff));
    ys.push_back(std::bit_cast<float>((i * 2246822519u & 0x83ffffff) | 0x3c000000));
  }
  for (std::string_view name : isa_names()) {
    std::vector<float> out(xs.size());
    isa_named(name).map[static_cast<int>(MapOp::pow)][0](out.data(), xs.data(), ys.data(), nullptr,
                                                         static_cast<int64_t>(xs.size()));
    double worst = 0;
    for (size_t i = 0; i < xs.size(); ++i) {
      const double distance = ulps(out[i], std::pow(double{xs[i]}, double{ys[i]}));
      worst = std::max(worst, distance);
      ASSERT_LE(distance, 0.52) << xs[i] << " to the " << ys[i] << " on " << name << " gave "
                                << out[i];
    }
    testing::Test::RecordProperty(std::string(name), std::to_string(worst));
  }
}

TEST(Vmath, SameBitsAtEveryPosition) {
  for (std::string_view name : isa_names())
    for (const Function& function : functions) {
      MapKernel* kernel = isa_named(name).map[static_cast<int>(function.op)][0];
      std::vector<float> in(67), out(67), alone(67);
      for (size_t i = 0; i < in.size(); ++i) in[i] = 0.037f * static_cast<float>(i) + 0.01f;
      kernel(out.data(), in.data(), nullptr, nullptr, 67);
      for (size_t i = 0; i < in.size(); ++i) kernel(&alone[i], &in[i], nullptr, nullptr, 1);
      EXPECT_EQ(out, alone) << function.name << " on " << name;
    }
}

}  // namespace
}  // namespace soma::cpu
