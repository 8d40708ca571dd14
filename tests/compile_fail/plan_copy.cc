// A plan owns its memory: it moves, but two copies of one plan would be two sets of states.
// expect: deleted
#include <utility>

#include "soma/plan.h"

soma::Plan hand_over(soma::Plan& plan) {
#ifdef SOMA_WRONG
  return plan;
#else
  return std::move(plan);
#endif
}
