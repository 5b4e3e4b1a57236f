// The kernel as plain loops, which compilers turn into vectors of each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize_rows/unit.h"

namespace quantlab::quantize_rows {
namespace {

// Of the numbers between 2^23 and 2^24 neighbors are one apart: adding it rounds, half to even.
constexpr float kRounds = 12582912.0f;  // 1.5 * 2^23

inline std::uint32_t absmax_bits_over(const float* numbers, std::size_t count) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, numbers + i, sizeof bits);
    bits &= 0x7fffffffu;
    largest = largest < bits ? bits : largest;
  }
  return largest;
}

inline void quantize_over(const float* numbers, std::size_t count, float scale,
                          std::int8_t* codes) {
  for (std::size_t i = 0; i < count; ++i) {
    const float rounded = (numbers[i] / scale + kRounds) - kRounds;
    const auto code = static_cast<std::int32_t>(rounded);
    const std::int32_t least = code > -127 ? code : -127;  // compared as integers: as floats
    codes[i] = static_cast<std::int8_t>(least < 127 ? least : 127);  // gcc 12 makes branches of it
  }
}

constexpr Unit unit_of() { return {&absmax_bits_over, &quantize_over}; }

}  // namespace
}  // namespace quantlab::quantize_rows
