// What a product leaves behind. Plain data, for the units of every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "requantize/codes.h"

namespace quantlab {

struct Results {
  std::int32_t* sums;  // null: not wanted
  const Codes* codes;  // that are made of the sums
  std::size_t num_codes;
};

}  // namespace quantlab
