// The pieces activation functions are made of. They are built from selects whose branches are
// finite wherever they are not taken, so that values and all derivatives stay finite for large
// inputs, and right at the seams.
#pragma once

#include "soma/nn.h"

namespace soma {

Value like(Value x, double value);
/// min(x, 0), with the derivative of the left side at 0.
Value below_zero(Value x);
/// |x|, with the derivative of the left side at 0.
Value magnitude(Value x);
/// Between lo and hi; the derivative is 1 strictly between them, else 0.
Value clip(Value x, Value lo, Value hi);
Value clip(Value x, double lo, double hi);
Value clip(Value x, double lo, Value hi);
/// ln(1 + exp(x)) without overflow.
Value log_one_plus_exp(Value x);
Value inverse_sinh(Value x);
/// x - sign(x) x^2 / 4.
Value rounded_ramp(Value x);
/// x^2 ln(1 + x).
Value thin_plate(Value x);

// Along the last axis.
Value softmax_of(Value x);
Value log_softmax_of(Value x);
Value sparsemax_of(Value x);
Value entmax15_of(Value x);
/// Its square root: every derivative exists where an element is 0.
Value entmax15_root_of(Value x);
Value first_half(Value x);
Value second_half(Value x);
Value clamped_swiglu(Value a, Value b, Value alpha, Value limit);
/// [..., n] as [..., n / k, k].
Value grouped(Value x, double k);

// Random numbers of the shape of x; throw ArgumentError when the context has no key.
Value uniform_noise(Value x, const ActivationContext& context);
Value gumbel_noise(Value x, const ActivationContext& context);

}  // namespace soma
