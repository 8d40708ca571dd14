// The choice of an instruction set.
#include "src/backends/cpu/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "soma/error.h"

namespace soma::cpu {
namespace {

TEST(Isa, PortableRunsEverywhere) {
  EXPECT_EQ(isa_names().front(), "portable");
  EXPECT_EQ(isa_named("portable").name, "portable");
  for (std::string_view name : isa_names()) EXPECT_EQ(isa_named(name).name, name);
}

TEST(Isa, RefusesUnknownNames) {
  try {
    isa_named("portabel");
    FAIL() << "accepted";
  } catch (const ArgumentError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("portabel"));
    EXPECT_THAT(error.what(), testing::HasSubstr("did you mean \"portable\""));
  }
}

TEST(Isa, EveryTableIsComplete) {
  for (std::string_view name : isa_names()) {
    const Isa& table = isa_named(name);
    for (int op = 0; op < map_op_count; ++op)
      for (int type : {0, 1}) EXPECT_NE(table.map[op][type], nullptr) << op;
    for (const auto& row : table.cast)
      for (MapKernel* kernel : row) EXPECT_NE(kernel, nullptr);
    for (const auto& row : table.reduce_rows)
      for (int type = 0; type < 5; ++type) EXPECT_NE(row[type], nullptr);
    for (int width = 0; width < width_count; ++width) {
      EXPECT_NE(table.copy2d[width], nullptr);
      EXPECT_NE(table.copy_view[width], nullptr);
      EXPECT_NE(table.expand_rows[width], nullptr);
    }
  }
}

}  // namespace
}  // namespace soma::cpu
