// What the rows of optimizers.def are made of: each function gives a chain of transforms. The
// formulas, parameters and sources are those of the rows.
#pragma once

#include <utility>

#include "soma/optim.h"

namespace soma::parts {

// ---------------------------------------------------------------- for writing transforms

Chain operator+(Chain a, const Chain& b);

/// A transform that treats each parameter for itself: f(step, i, gradient).
template <class F>
Chain each(F f) {
  return {[f](Step& step, std::span<const Value> gradients) {
    std::vector<Value> result;
    for (size_t i = 0; i < gradients.size(); ++i) result.push_back(f(step, i, gradients[i]));
    return result;
  }};
}
/// The same for the new parameters, after the step was taken: f(step, i, parameter).
template <class F>
Chain after_each(F f) {
  return {[f](Step& step, std::span<const Value> gradients) {
    step.after.push_back(each(f)[0]);
    return std::vector<Value>(gradients.begin(), gradients.end());
  }};
}

/// old <- decay old + (1 - decay) x
Value running_mean(Step& step, Value old, Value x, double decay);
/// 1 - beta^t, exact to rounding even where beta^t is nearly 1.
Value bias_correction(Value t, double beta);
/// That number in the shape and type of x.
Value filled(Value x, double number);
/// -1, 0 or 1.
Value sign_of(Value x);
/// The root of the sum of squares over some axes, which stay with extent 1, or over all.
Value norm_of(Value x, Dims axes);
Value norm_of(Value x);
/// Adam's direction for one parameter.
Value adam_direction(Step& step, size_t i, Value g, double beta1, double beta2, double eps);
/// The sum over all arrays of a_i·b_i, in the type of the first.
Value dot_all(std::span<const Value> a, std::span<const Value> b);
/// The axes along which the links into one neuron lie: of [in, out] the first, of [out, in,
/// window…] all but the first, none for vectors.
Dims incoming_axes(const Shape& shape);
/// Throws ArgumentError, naming the part, for a step without a loss, or for some parameters only.
void needs_loss(const Step& step, std::string_view part);
void needs_all(const Step& step, std::string_view part);
/// Whether this is the first step (bool).
Value is_first(const Step& step);

// ---------------------------------------------------------------- basic.cc

Chain by_rate(const Schedule& rate);
Chain l2(const Schedule& rate);
Chain l2(double rate);
Chain l1(double rate);
Chain orthogonality(double rate);
Chain trace(double mu, bool nesterov, double dampening = 0);
Chain ramped_trace(const Schedule& mu, bool nesterov);
Chain sign_each();
Chain clip_each(double most);
Chain clip_together(double most);
Chain clip_block(double most);
Chain clip_unitwise(double ratio, double eps);
Chain center();
Chain unit_length(double eps);
Chain noise(const Schedule& eta, double gamma, int64_t seed);
Chain without_nans();
Chain trust_ratio();

// ---------------------------------------------------------------- adaptive.cc

Chain adagrad_scale(double eps, double start);
Chain rms_scale(double rho, double eps, bool centered = false);
Chain rms_unbiased(double beta2, double eps);
Chain adadelta_scale(double rho, double eps);
Chain adam_scale(double beta1, double beta2, double eps);
Chain amsgrad_scale(double beta1, double beta2, double eps);
Chain adamax_scale(double beta1, double beta2, double eps);
Chain nadam_scale(double beta1, double beta2, double eps, double momentum_decay);
Chain radam_scale(double beta1, double beta2, double eps);
Chain belief_scale(double beta1, double beta2, double eps);
Chain yogi_scale(double beta1, double beta2, double eps, double start);
Chain lion_scale(double beta1, double beta2);
Chain quasi_hyperbolic_scale(double beta1, double beta2, double eps, double nu1, double nu2);
Chain bounded_adam(const Schedule& rate, double beta1, double beta2, double eps, double last,
                   double gamma);
Chain ademamix_scale(double beta1, double beta2, double beta3, double alpha, double eps,
                     double warm);
Chain adopt_scale(double beta1, double beta2, double eps);
Chain adan_step(const Schedule& rate, double beta1, double beta2, double beta3, double eps,
                double decay);
Chain layerwise_moments(double beta1, double beta2, double eps, double decay);
Chain factored_step(const Schedule& rate, double decay_power, double eps1, double eps2, double most,
                    double decay);
Chain sm3_scale(double mu, double eps);

// ---------------------------------------------------------------- methods.cc

Chain lars_step(const Schedule& rate, double mu, double trust, double decay);
Chain optimistic(double strength);
Chain resilient(double start, double shrink, double grow, double least, double most);
Chain averaged_sgd(const Schedule& rate, double lambda, double alpha, double begin);
Chain follow_the_leader(const Schedule& rate, double l1, double l2, double beta, double start);
Chain dual_average(const Schedule& rate, double mu, double eps);
Chain fromage_step(const Schedule& rate);
Chain without_schedule(const Schedule& rate, double beta);
Chain distance_over_gradients(const Schedule& rate, double start, bool weighted);
Chain prodigy_step(const Schedule& rate, double beta1, double beta2, double eps, double start,
                   double decay);
Chain quasi_newton(const Schedule& rate, int64_t history);
Chain muon_step(const Schedule& rate, double mu, double decay, int64_t rounds, double eps,
                const Schedule& adam_rate, double beta1, double beta2);
Chain shampoo_scale(double eps, int64_t rounds);
Chain polyak(double most, double least_loss, double eps);
Chain sharpness(double rho, bool adaptive);

// ---------------------------------------------------------------- wrappers.cc

Chain accumulate_mean(int64_t batches);
Chain only_finite();
Chain only_small(double most);
Chain plateau(double factor, int64_t patience, double threshold, int64_t cooldown, int64_t window,
              double least);
Chain look_ahead(int64_t every, double alpha);
Chain moving_average(double decay, bool warm);
Chain equal_average(int64_t start, int64_t every);
Chain project_norm(double least, double most, double rate);
Chain project_non_negative();

}  // namespace soma::parts
