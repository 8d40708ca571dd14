// Small matrices for plain loops.
#pragma once

#include <cmath>
#include <vector>

namespace soma::test {

struct Matrix {
  size_t rows = 0, columns = 0;
  std::vector<double> x;
  Matrix(size_t r, size_t c) : rows(r), columns(c), x(r * c) {}
  Matrix(size_t r, size_t c, std::vector<double> values)
      : rows(r), columns(c), x(std::move(values)) {}
  double& at(size_t i, size_t j) { return x[i * columns + j]; }
  double at(size_t i, size_t j) const { return x[i * columns + j]; }
  Matrix turned() const {
    Matrix result(columns, rows);
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns; ++j) result.at(j, i) = at(i, j);
    }
    return result;
  }
  friend Matrix operator*(const Matrix& a, const Matrix& b) {
    Matrix result(a.rows, b.columns);
    for (size_t i = 0; i < a.rows; ++i) {
      for (size_t j = 0; j < b.columns; ++j) {
        for (size_t k = 0; k < a.columns; ++k) result.at(i, j) += a.at(i, k) * b.at(k, j);
      }
    }
    return result;
  }
  /// a + factor b
  friend Matrix plus(Matrix a, const Matrix& b, double factor) {
    for (size_t i = 0; i < a.x.size(); ++i) a.x[i] += factor * b.x[i];
    return a;
  }
};
inline Matrix unit_matrix(size_t n, double value = 1) {
  Matrix result(n, n);
  for (size_t i = 0; i < n; ++i) result.at(i, i) = value;
  return result;
}

/// f of a symmetric matrix by Jacobi's rotations: f of its eigenvalues between its eigenvectors.
template <class F>
Matrix function_of(Matrix a, F f) {
  const size_t n = a.rows;
  Matrix v = unit_matrix(n);
  for (int sweep = 0; sweep < 60; ++sweep) {
    for (size_t p = 0; p < n; ++p) {
      for (size_t q = p + 1; q < n; ++q) {
        if (std::abs(a.at(p, q)) < 1e-300) continue;
        const double angle = 0.5 * std::atan2(2 * a.at(p, q), a.at(q, q) - a.at(p, p));
        Matrix turn = unit_matrix(n);
        turn.at(p, p) = turn.at(q, q) = std::cos(angle);
        turn.at(p, q) = std::sin(angle);
        turn.at(q, p) = -std::sin(angle);
        a = turn.turned() * a * turn;
        v = v * turn;
      }
    }
  }
  Matrix middle(n, n);
  for (size_t i = 0; i < n; ++i) middle.at(i, i) = f(a.at(i, i));
  return v * middle * v.turned();
}

}  // namespace soma::test
