// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstdint>

#include "quantlab/view.h"

namespace quantlab::popcount {

using Words = MatrixView<const std::uint64_t>;

struct Unit {
  // counts[row] = bits set in that row of words.
  void (*popcount)(Words words, std::int64_t* counts);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;

}  // namespace quantlab::popcount
