// How sums of 32 bits become codes: what follows a product, or stands alone. Plain data without
// functions, for the units of every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/rows.h"

namespace quantlab {

// Either clamp((multiplier * sum + other_multiplier * other + offset) >> shift, low, high), or
// base + step * how many of `num_limits` limits lie below the sum, if there are limits.
//
// Constants have one number for each channel, zeros behind those of each group up to a multiple of
// 16; of the 64-bit ones each 16 numbers are those of even places first. limits: `num_limits` times
// all constants, `stride` numbers.
struct Codes {
  const std::int32_t* multiplier;
  const std::int32_t* other_multiplier;
  const std::int64_t* offset;
  const std::int64_t* shift;
  const std::int32_t* upper_shift;  // shift - 32; null if one is less than that
  std::int64_t low;
  std::int64_t high;
  bool is_clamp;  // the sums stay as they are but for both ends: the multipliers are 2^shift

  const std::int32_t* base;
  const std::int32_t* step;
  const std::int32_t* limits;
  std::size_t num_limits;
  std::size_t stride;

  Rows source;  // what takes the sums' place, made of them before; null data: none
  Rows other;   // null data: none
  Rows out;
};

}  // namespace quantlab
