// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "planes/unit.h"

namespace quantlab::planes_int8 {

using Layout = planes::Task<float>;

// Codes are q + 128, with q between -127 and 127.
struct Rounding {
  float scale;
  bool is_stochastic;    // q = floor(x / scale + u); else x / scale, rounded half to even
  std::uint32_t key[2];  // of u
};

struct Unit {
  std::size_t multiple;  // ranges begin at multiples of this
  // Numbers [begin, end) of all samples go to their places as codes.
  void (*lay_out)(const Layout& layout, const Rounding& rounding, const float* samples,
                  std::uint8_t* planes, std::size_t begin, std::size_t end);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;

}  // namespace quantlab::planes_int8
