// Matrix products, losses and the training ops of ai.onnx.preview.training.
#include "soma/gradient.h"
#include "soma/nn.h"
#include "soma/optim.h"
#include "tests/onnx/pieces.h"
#include "tests/onnx/table.h"

namespace soma::onnx {

namespace {

Value gemm(const Site& at) {
  Value y = dot(at.in(0), at.in(1), at.flag("transA"), at.flag("transB"));
  if (at.number("alpha", 1) != 1) y = at.number("alpha", 1) * y;
  return at.has(2) ? y + at.number("beta", 1) * at.in(2) : y;
}

// ---- losses

// The classes last, as Soma's losses want them.
Value classes_last(Value x) { return x.rank() > 2 ? move_axis(x, 1, x.rank() - 1) : x; }

// Soma counts a negative label for nothing; ONNX names the label that is to be ignored.
Value labels_of(const Site& at) {
  const Value target = at.in(1);
  if (!at.set("ignore_index")) return target;
  const Value ignored = eq(target, static_cast<double>(at.integer("ignore_index", 0)));
  return select(ignored, -1.0, target);
}

std::vector<double> class_weights(const Site& at) {
  std::vector<double> weights;
  for (int64_t i = 0; at.has(2) && i < at.known(2).elements(); ++i) {
    weights.push_back(at.known(2).at(i));
  }
  return weights;
}

Value class_loss(const Site& at, const Loss& loss) {
  const Value p = classes_last(at.in(0)), t = labels_of(at);
  const std::string reduction = at.text("reduction", "mean");
  if (reduction == "mean") return loss(p, t);
  const Value each = loss.row().build(p, t, loss.arguments()).loss;
  return reduction == "sum" ? sum(each) : each;
}

std::vector<Value> softmax_cross_entropy(const Site& at) {
  const Value loss = class_loss(at, cross_entropy(0, class_weights(at)));
  if (at.outputs() < 2) return {loss};
  ActivationContext context;
  context.axis = 1;
  return {loss, Activation(log_softmax)(at.in(0), context)};
}

// ---- optimizers

// The inputs are R (rate), T (steps done), then for each array in groups: itself, its gradient, and
// what the optimizer keeps. One step with Soma's, which keeps `kept` under these names.
std::vector<Value> one_step(const Site& at, const Optimizer& optimizer,
                            const std::vector<std::string>& kept, double steps_done) {
  const size_t count = (at.inputs() - 2) / (2 + kept.size());
  std::vector<Value> params, gradients_;
  for (size_t i = 0; i < count; ++i) {
    params.push_back(at.parameter(2 + i));
    gradients_.push_back(at.in(2 + count + i));
  }
  at.feed("optimizer/step", Tensor::scalar(steps_done, i64));
  apply_gradients(optimizer, params, gradients_);
  std::vector<std::string> names;
  for (const Value p : params) names.push_back(p.node().as<InputAttr>().name);
  std::vector<std::string> order = names;
  for (size_t k = 0; k < kept.size(); ++k) {
    for (size_t i = 0; i < count; ++i) {
      order.push_back("optimizer/" + names[i] + "/" + kept[k]);
      at.feed(order.back(), at.known(2 + (2 + k) * count + i));
    }
  }
  std::vector<Value> results;
  for (const std::string& name : order) {
    const Value state = at.graph().find_input(name);
    for (const auto& update : at.graph().updates()) {
      if (update.state == state.id()) results.push_back(at.graph().value(update.value));
    }
  }
  return results;
}

double rate_of(const Site& at) { return at.known(0).at(0); }
double decay_of(const Site& at) { return at.number("norm_coefficient", 0); }

// ONNX counts from T = 0 and then corrects nothing; Soma's correction fades with the steps.
std::vector<Value> adam_step(const Site& at) {
  if (at.number("norm_coefficient_post", 0) != 0) throw NotExpressible("decay after the step");
  const double done = at.known(1).at(0);
  if (done > 0) throw NotExpressible("epsilon before the bias correction");
  return one_step(at,
                  adam(rate_of(at), at.number("alpha", 0.9), at.number("beta", 0.999),
                       at.number("epsilon", 1e-6), decay_of(at)),
                  {"m", "v"}, 1e9);
}

std::vector<Value> adagrad_step(const Site& at) {
  const Schedule rate = inverse_time(rate_of(at), at.number("decay_factor", 0));
  return one_step(at, adagrad(rate, at.number("epsilon", 1e-6), 0, decay_of(at)), {"sum"},
                  at.known(1).at(0));
}

// The gradient counts `beta` times, but once in the first step.
std::vector<Value> momentum_step(const Site& at) {
  const double done = at.known(1).at(0), mu = at.number("alpha", 0);
  const double dampening = done > 0 ? 1 - at.number("beta", 1) : 0;
  if (at.text("mode", "standard") == "standard") {
    return one_step(at, momentum(rate_of(at), mu, decay_of(at), dampening), {"momentum"}, done);
  }
  if (dampening != 0) throw NotExpressible("a weight of the gradient in nesterov");
  return one_step(at, nesterov(rate_of(at), mu, decay_of(at)), {"momentum"}, done);
}

// The gradient of the model's value "y" with respect to the inputs.
std::vector<Value> gradient_of(const Site& at) {
  std::vector<Value> wrt;
  for (size_t i = 0; i < at.inputs(); ++i) wrt.push_back(at.in(i));
  return gradients(sum(at.named(at.text("y", ""))), wrt);
}

}  // namespace

void add_products(Table& table) {
  table.add("MatMul", "matmul", [](const Site& at) { return matmul(at.in(0), at.in(1)); });
  table.add("Gemm", "dot", gemm);
}

void add_losses(Table& table) {
  table.add("NegativeLogLikelihoodLoss", "negative_log_likelihood", [](const Site& at) {
    return class_loss(at, negative_log_likelihood(class_weights(at)));
  });
  table.add("SoftmaxCrossEntropyLoss", "cross_entropy, log_softmax", softmax_cross_entropy);
}

void add_optimizers(Table& table) {
  table.add("Gradient", "gradients", gradient_of);
  table.add("Adam", "adam", adam_step);
  table.add("Adagrad", "adagrad, inverse_time", adagrad_step);
  table.add("Momentum", "momentum, nesterov", momentum_step);
}

void add_absent(Table& table) {
  table.lack({"StringNormalizer", "TfIdfVectorizer"}, "text");
  table.lack({"SequenceInsert", "SequenceEmpty", "SequenceConstruct", "SplitToSequence",
              "SequenceMap", "OptionalGetElement", "OptionalHasElement"},
             "sequences and optional values");
  table.lack({"If", "Loop", "Scan"}, "a graph inside the node");
  table.lack({"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear",
              "DequantizeLinear", "DynamicQuantizeLinear"},
             "quantized numbers");
  table.lack({"BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix", "DFT", "STFT"},
             "signal processing");
  table.lack({"Bernoulli", "RandomUniformLike"}, "the random bits of another generator");
  table.lack({"Einsum"}, "no Einstein summation");
  table.lack({"Det"}, "no determinant");
}

}  // namespace soma::onnx
