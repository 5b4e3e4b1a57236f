// Numbers of 16 bits (IEEE 754 binary16), by the bits alone: the compiler's own type would call its
// library, which units may not.
#pragma once

#include <cstdint>

namespace quantlab {

struct Half {
  std::uint16_t bits;
};

namespace {  // a copy for each unit: no symbol is shared between instruction sets

inline std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline float float_of(std::uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

inline float float_of(Half x) {
  const std::uint32_t sign = (x.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = x.bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return float_of(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude >= 0x0400u) return float_of(sign | ((magnitude << 13) + (112u << 23)));
  const float small = static_cast<float>(magnitude) * 0x1p-24f;
  return float_of(sign | bits_of(small));
}

// To the nearest, of two equally near ones to the even one.
inline Half half_of(float x) {
  const std::uint32_t bits = bits_of(x);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  std::uint32_t rounded;
  if (magnitude > 0x7f800000u) {
    rounded = 0x7e00u | (magnitude >> 13 & 0x3ffu);
  } else if (magnitude >= 0x477ff000u) {  // 65520, halfway behind the largest
    rounded = 0x7c00u;
  } else if (magnitude >= 0x38800000u) {  // 2^-14, the least with all bits
    rounded = (magnitude + 0xfffu + (magnitude >> 13 & 1u) - (112u << 23)) >> 13;
  } else {
    // Floats of [1/2, 1) are 2^-24 apart, as these halves are: the sum is rounded to them.
    rounded = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
  }
  return {static_cast<std::uint16_t>(sign | rounded)};
}

}  // namespace
}  // namespace quantlab
