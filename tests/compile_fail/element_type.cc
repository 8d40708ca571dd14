// Only the element types a tensor can have are element types.
// expect: (incomplete type|implicit instantiation of undefined template)
#include <string>

#include "soma/tensor.h"

#ifdef SOMA_WRONG
using Element = std::string;
#else
using Element = double;
#endif

soma::DType element_type() { return soma::dtype_of<Element>::value; }
