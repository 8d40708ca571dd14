// EXPECT_ERROR(type, statement, facts…): the statement throws exactly that type, and its sentence
// contains every one of the facts.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <typeinfo>
#include <vector>

#include "soma/error.h"

namespace soma {

template <class Wanted, class Statement>
void expect_error(const Statement& statement, const std::vector<std::string>& facts) {
  try {
    statement();
  } catch (const std::exception& error) {
    EXPECT_EQ(typeid(error), typeid(Wanted)) << error.what();
    const std::string sentence = error.what();
    for (const auto& fact : facts) {
      EXPECT_NE(sentence.find(fact), std::string::npos)
          << "the sentence\n  " << sentence << "\nlacks\n  " << fact;
    }
    return;
  }
  ADD_FAILURE() << "nothing was thrown; expected a sentence with \"" << facts.front() << "\"";
}

#define EXPECT_ERROR(type, statement, ...) \
  ::soma::expect_error<type>([&] { statement; }, {__VA_ARGS__})

}  // namespace soma
