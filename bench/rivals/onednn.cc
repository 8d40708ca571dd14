// Matrix products of oneDNN, every operand in plain rows.
#include <dnnl.hpp>

#include "rivals.h"

int main(int count, char** values) {
  using namespace dnnl;
  const rivals::Arguments arguments(count, values);
  const rivals::Product p(arguments);
  engine cpu(engine::kind::cpu, 0);
  stream work(cpu);
  const auto array = [&](int rows, int columns, bool transposed) {
    const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{columns, 1};
    memory values({{rows, columns}, memory::data_type::f32, strides}, cpu);
    const auto numbers = rivals::random_floats(size_t(rows) * columns, 0.5f);
    std::copy(numbers.begin(), numbers.end(), static_cast<float*>(values.get_data_handle()));
    return values;
  };
  memory a = array(p.m, p.k, p.transpose_a), b = array(p.k, p.n, p.transpose_b);
  memory c = array(p.m, p.n, false);
  const matmul product(matmul::primitive_desc(cpu, a.get_desc(), b.get_desc(), c.get_desc()));
  rivals::measure_calls(arguments.seconds, [&] {
    product.execute(work, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    work.wait();
  });
}
