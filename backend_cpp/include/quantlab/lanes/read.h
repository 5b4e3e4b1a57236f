// Numbers of any type as `Lanes`, which the file that includes this has: nothing is touched behind
// the numbers that are asked for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/lanes/count.h"

#include "quantlab/rows.h"

namespace quantlab {
namespace {

// The numbers of one row from `at` on, fewer than 16 at its end: nothing behind is touched.
template <class T>
Lanes some(const T* from, std::size_t count) {
  if (count >= kLanes) return Lanes::from(from);
  T padded[kLanes] = {};
  for (std::size_t i = 0; i < count; ++i) padded[i] = from[i];
  return Lanes::from(padded);
}

inline Lanes read(const Rows& rows, std::size_t at, std::size_t count) {
  switch (rows.kind) {
    case Kind::kU8:
      return some(static_cast<const std::uint8_t*>(rows.data) + at, count);
    case Kind::kS8:
      return some(static_cast<const std::int8_t*>(rows.data) + at, count);
    case Kind::kS16:
      return some(static_cast<const std::int16_t*>(rows.data) + at, count);
    default:
      return some(static_cast<const std::int32_t*>(rows.data) + at, count);
  }
}

template <class T>
void put_some(Lanes x, T* to, std::size_t count) {
  if (count >= kLanes) {
    x.narrow(to);
    return;
  }
  T padded[kLanes];
  x.narrow(padded);
  for (std::size_t i = 0; i < count; ++i) to[i] = padded[i];
}

}  // namespace
}  // namespace quantlab
