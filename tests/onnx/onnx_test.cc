// Soma against ONNX's own backend test cases: every single-node case of the packaged version, run
// on the interpreter and on the CPU. What cannot be expressed is counted and its reason printed.
#include <gtest/gtest.h>

#include <iostream>

#include "src/base/text.h"
#include "tests/onnx/table.h"
#include "tests/page.h"

namespace soma::onnx {
namespace {

using Kind = Outcome::Kind;

constexpr const char* data_folder = "/usr/share/libonnx-testdata/data";

const Table& table() {
  static const Table all = [] {
    Table result;
    add_absent(result);
    add_maps(result);
    add_reductions(result);
    add_moves(result);
    add_products(result);
    add_losses(result);
    add_optimizers(result);
    add_normalizations(result);
    add_recurrences(result);
    add_windows(result);
    return result;
  }();
  return all;
}

/// Cases that contradict ONNX's own text, and how they are put right.
struct Correction {
  const char* name;
  const char* why;
  void (*apply)(Case&);
};
const Correction corrections[] = {
    {"node/test_adam_multiple", "the node lacks epsilon = 0.01, with which its results were made",
     [](Case& test) { test.nodes.at(0).attributes["epsilon"].number = 1e-2; }},
    {"node/test_resize_downsample_scales_linear_align_corners",
     "its results are made for a length of 2.4 and not of 2; with aligned corners they are the "
     "corners",
     [](Case& test) {
       test.wanted["Y"] = Tensor::of({1, 1, 1, 2}, {1, 4});
     }},
    {"node/test_resize_downsample_scales_cubic_align_corners",
     "its results are made for a length of 3.2 and not of 3; with aligned corners they are the "
     "corners and what lies in the middle between them",
     [](Case& test) {
       test.wanted["Y"] = Tensor::of({1, 1, 3, 3}, {1, 2.5, 4, 7, 8.5, 10, 13, 14.5, 16});
     }},
};

Case corrected(Case test) {
  for (const Correction& c : corrections) {
    if (test.name == c.name) c.apply(test);
  }
  return test;
}

struct Tally {
  int cases = 0, agree = 0;
  std::map<std::string, std::vector<std::string>> not_expressible;  ///< Reason → cases.
};

struct Results {
  std::map<std::string, Tally> single;   ///< By op type.
  std::map<std::string, Tally> several;  ///< By collection: node, pytorch-converted, …
};

void count(Tally& tally, const Case& test) {
  const Outcome outcome = try_case(test, table());
  ++tally.cases;
  if (outcome.cpu_only) std::cout << test.name << " is too large for the interpreter: CPU only\n";
  if (outcome.kind == Kind::agrees) ++tally.agree;
  if (outcome.kind == Kind::not_expressible) {
    tally.not_expressible[outcome.why].push_back(test.name);
  }
  if (outcome.kind == Kind::differs) ADD_FAILURE() << test.name << ": " << outcome.why;
}

Results run_all() {
  Results results;
  for (const std::string& name : list_cases(data_folder)) {
    const Case test = corrected(read_case(data_folder, name));
    if (test.nodes.size() != 1) {
      count(results.several[name.substr(0, name.find('/'))], test);
    } else {
      count(results.single[test.nodes[0].op], test);
    }
  }
  return results;
}

std::string reasons(const Tally& tally) {
  std::vector<std::string> all;
  for (const auto& [why, cases] : tally.not_expressible) {
    all.push_back(cat(cases.size(), ": ", why));
  }
  return join(all, "; ");
}

int agree(const std::map<std::string, Tally>& tallies) {
  int sum = 0;
  for (const auto& [name, tally] : tallies) sum += tally.agree;
  return sum;
}
int cases(const std::map<std::string, Tally>& tallies) {
  int sum = 0;
  for (const auto& [name, tally] : tallies) sum += tally.cases;
  return sum;
}

std::string page(const Results& results) {
  std::string text = cat(
      "# ONNX conformance\n\n"
      "Made by `tests/onnx` from the backend test cases that ONNX ships (Debian package "
      "`libonnx-testdata`,\nONNX 1.12): a model, what goes in and what must come out. Each is "
      "built "
      "from the Soma functions named\nhere and run on the interpreter and on the CPU. Of ",
      cases(results.single), " cases of one node, ", agree(results.single),
      " agree; the others\nask for what Soma does not have, and the reason is given. Numbers of "
      "types that Soma lacks are read as the\nnext wider one it has.\n\n"
      "| ONNX op | Soma | cases | agree | not expressible |\n|---|---|--:|--:|---|\n");
  for (const auto& [op, tally] : results.single) {
    const Entry* entry = table().find(op);
    text += cat("| ", op, " | ", entry ? entry->with : "", " | ", tally.cases, " | ", tally.agree,
                " | ", cell(reasons(tally)), " |\n");
  }
  text += "\nCorrected, because the case contradicts the text of the op:\n\n";
  for (const Correction& c : corrections) text += cat("- `", c.name, "`: ", c.why, ".\n");
  text +=
      "\nModels of several nodes, by folder:\n\n| folder | cases | agree | not expressible "
      "|\n|---|--:|--:|---|\n";
  for (const auto& [folder, tally] : results.several) {
    text += cat("| ", folder, " | ", tally.cases, " | ", tally.agree, " | ", cell(reasons(tally)),
                " |\n");
  }
  return text;
}

void print(const std::map<std::string, Tally>& tallies, std::string_view what) {
  for (const auto& [name, tally] : tallies) {
    std::cout << cat(what, " ", name, ": ", tally.agree, " of ", tally.cases, " agree");
    for (const auto& [why, cases] : tally.not_expressible) {
      std::cout << "; " << why << " (" << join(cases, " ") << ")";
    }
    std::cout << "\n";
  }
  std::cout << cat(agree(tallies), " of ", cases(tallies), " agree\n");
}

TEST(Onnx, BackendCases) {
  if (!std::filesystem::exists(data_folder)) {
    GTEST_SKIP() << "no ONNX test cases in " << data_folder
                 << "; install the package libonnx-testdata";
  }
  const Results results = run_all();
  print(results.single, "op");
  print(results.several, "several nodes,");
  expect_page("onnx.md", page(results));
}

}  // namespace
}  // namespace soma::onnx
