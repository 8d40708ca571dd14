// docs/reference/ops.md is made from the registry.
#include <gtest/gtest.h>

#include <array>

#include "soma/graph.h"
#include "src/base/text.h"
#include "tests/page.h"

namespace soma {
namespace {

template <class A>
std::string field_names() {
  std::vector<std::string> names;
  A attr;
  A::fields(attr, [&](const char* name, auto&) { names.push_back(cat("`", name, "`")); });
  return join(names, ", ");
}

std::string flag_names(const OpInfo& row) {
  std::vector<std::string_view> names;
  if (row.is(OpInfo::commutative)) names.push_back("commutative");
  if (row.is(OpInfo::cheap)) names.push_back("cheap");
  if (row.is(OpInfo::smooth)) names.push_back("smooth");
  return join(names, ", ");
}

std::string ops_table() {
  const std::string attributes[] = {
#define SOMA_OP(name, arity, kind, flags, attr, meaning) field_names<attr>(),
#include "soma/ops.def"
#undef SOMA_OP
  };
  constexpr std::array classes{"leaf", "map", "move", "reduce", "contract", "opaque", "control"};
  std::string text =
      "# The primitives\n\n"
      "Every network, loss, gradient and optimizer step is a graph of these ops. This page is made "
      "from\n`include/soma/ops.def`; `src/ir/interpret*.cc` defines each op exactly.\n\n"
      "| op | inputs | meaning | attributes | class | flags |\n|---|---|---|---|---|---|\n";
  for (size_t i = 0; i < op_table().size(); ++i) {
    const OpInfo& row = op_table()[i];
    text += cat("| `", row.name, "` | ", row.arity < 0 ? "any" : std::to_string(row.arity), " | ",
                cell(row.meaning), " | ", attributes[i], " | ",
                classes[static_cast<size_t>(row.kind)], " | ", flag_names(row), " |\n");
  }
  return text;
}

TEST(OpsTable, IsWhatTheRegistrySays) { expect_page("ops.md", ops_table()); }

}  // namespace
}  // namespace soma
