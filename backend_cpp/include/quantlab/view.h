// Views of memory that the caller owns. Plain data without functions, so that the units of every
// instruction set can include this file.
#pragma once

#include <cstddef>

namespace quantlab {

template <class T>
struct View {
  T* data;
  std::size_t size;
};

// Row-major and dense.
template <class T>
struct MatrixView {
  T* data;
  std::size_t num_rows;
  std::size_t num_columns;
};

}  // namespace quantlab
