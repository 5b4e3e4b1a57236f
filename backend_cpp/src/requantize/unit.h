// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>

#include "requantize/codes.h"

namespace quantlab::requantize {

struct Unit {
  // Rows [begin, end) of `sums` become codes.
  void (*requantize)(Rows sums, std::size_t num_channels, std::size_t begin, std::size_t end,
                     const Codes& codes);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;

}  // namespace quantlab::requantize
