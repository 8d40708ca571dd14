// The elements of a constant tensor are constant.
// expect: (read-only|no viable|cannot assign)
#include "soma/tensor.h"

#ifdef SOMA_WRONG
void clear(const soma::Tensor& tensor) {
#else
void clear(soma::Tensor& tensor) {
#endif
  tensor.data<float>()[0] = 0;
}
