// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quantlab::quantize_rows {

struct Unit {
  // The largest of the numbers without their signs, as bits: NaN is larger than infinity.
  std::uint32_t (*absmax_bits)(const float* numbers, std::size_t count);
  // codes[i] = numbers[i] / scale, rounded half to even, between -127 and 127.
  void (*quantize)(const float* numbers, std::size_t count, float scale, std::int8_t* codes);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;

}  // namespace quantlab::quantize_rows
