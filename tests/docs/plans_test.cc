// docs/reference/plans.md: what the plans of known networks cost, counted. A change of the compiler
// that makes one of them longer, larger or busier shows here before any clock does.
#include <gtest/gtest.h>

#include "soma/network.h"
#include "soma/train.h"
#include "src/base/text.h"
#include "tests/page.h"

namespace soma {
namespace {

struct Workload {
  const char* name;
  const char* net;
  const char* optimizer;
  int64_t batch;
  Shape target;  ///< Of one sample.
};

const Workload workloads[] = {
    {"mlp", "input 28x28, 128 relu, 10", "sgd(0.1)", 128, {}},
    {"mlp-wide", "input 28x28, 512 relu, 512 relu, 10", "adam(1e-3)", 128, {}},
    {"lenet",
     "input 28x28, conv2d 6 5 relu padding=same, max_pool 2, conv2d 16 5 relu, max_pool 2, 120 "
     "relu, 84 relu, 10",
     "adam(1e-3)",
     64,
     {}},
    {"cnn",
     "input 28x28, conv2d 32 3 relu padding=same, conv2d 64 3 relu padding=same, max_pool 2, 128 "
     "relu, 10",
     "adam(1e-3)",
     128,
     {}},
    {"lstm", "input 28x28, lstm 128, 10", "adam(1e-3)", 128, {}},
    {"gru", "input 28x28, gru 128, 10", "adam(1e-3)", 128, {}},
    {"transformer",
     "input 64, embedding 65 128, positions learned, decoder 4 activation=gelu_tanh, "
     "decoder 4 activation=gelu_tanh, decoder 4 activation=gelu_tanh, "
     "decoder 4 activation=gelu_tanh, layer_norm, dense(65 per_step=true)",
     "adamw(1e-3)",
     32,
     {64}},
};

Graph training_graph(const Workload& workload) {
  const Network net = Network::parse(workload.net);
  const auto batch_of = [&](const Shape& sample) {
    Shape shape{workload.batch};
    for (const int64_t extent : sample) shape.push_back(extent);
    return shape;
  };
  Graph graph;
  const Value bytes = graph.input("input", batch_of(net.sample_shape()), u8);
  const Value target = graph.input("target", batch_of(workload.target), i32);
  const Value output =
      net.build(graph, cast(bytes, f32) * (1.0 / 255), {.mode = BuildMode::training});
  const Value loss = cross_entropy()(output, target);
  return train_step(std::move(graph), loss, optimizer_named(workload.optimizer));
}

std::string row_of(const Workload& workload, std::string_view what, const Graph& graph) {
  const PlanReport report = compile(graph, Device::cpu(2)).report();
  std::vector<std::string> cells = {workload.name, std::string(what)};
  for (const int64_t count :
       {static_cast<int64_t>(report.instructions.size()), report.barriers(),
        static_cast<int64_t>(report.arena_bytes), report.flops(), report.bytes()}) {
    cells.push_back(grouped(count));
  }
  return cat("| ", join(cells, " | "), " |\n");
}

TEST(Reference, Plans) {
  std::string text =
      "# What plans cost\n\n"
      "Counted, not timed, so that every change of the compiler shows: the plans of known networks "
      "after all\npasses. `soma_test_docs` fails when a row is no longer true. When the change is "
      "intended, run\n`SOMA_UPDATE_DOCS=1 build-ci/tests/soma_test_docs "
      "--gtest_filter=Reference.Plans`, look at the\ndifference, and say in the commit why it is "
      "for the better.\n\n"
      "A barrier is an instruction that threads share and then wait for each other; bodies of "
      "loops count as\noften as they run. FLOPs and bytes are those of one run.\n\n"
      "| network | plan | instructions | barriers | arena bytes | FLOPs | bytes moved |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const Workload& workload : workloads) {
    text += row_of(workload, cat("training, batch ", workload.batch), training_graph(workload));
    const Network net = Network::parse(workload.net);
    for (const int64_t batch : {workload.batch, int64_t{1}}) {
      text += row_of(workload, cat("prediction, batch ", batch), net.inference_graph(batch));
    }
  }
  text += "\nThe networks:\n\n";
  for (const Workload& workload : workloads) {
    text += cat("- ", workload.name, ": `", workload.net, "`, ", workload.optimizer, "\n");
  }
  expect_page("plans.md", text);
}

}  // namespace
}  // namespace soma
