// docs/reference/ops.md is made from the registry. SOMA_UPDATE_DOCS=1 writes it; without, the test
// checks that it is what the registry says.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "soma/graph.h"
#include "src/base/text.h"

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
    std::string meaning;
    for (const char c : row.meaning) meaning += c == '|' ? std::string("\\|") : std::string(1, c);
    text += cat("| `", row.name, "` | ", row.arity < 0 ? "any" : std::to_string(row.arity), " | ",
                meaning, " | ", attributes[i], " | ", classes[static_cast<size_t>(row.kind)], " | ",
                flag_names(row), " |\n");
  }
  return text;
}

TEST(OpsTable, IsWhatTheRegistrySays) {
  const std::filesystem::path path = SOMA_SOURCE_DIR "/docs/reference/ops.md";
  if (std::getenv("SOMA_UPDATE_DOCS")) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << ops_table();
  }
  std::ifstream file(path);
  const std::string found{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(found, ops_table()) << "run the test with SOMA_UPDATE_DOCS=1 to write " << path;
}

}  // namespace
}  // namespace soma
