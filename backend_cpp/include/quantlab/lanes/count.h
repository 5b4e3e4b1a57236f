// How many integers the types of this folder hold: outputs, channels and constants come in blocks
// of so many. Plain data, for the units of every instruction set.
#pragma once

#include <cstddef>

namespace quantlab {

constexpr std::size_t kLanes = 16;

}  // namespace quantlab
