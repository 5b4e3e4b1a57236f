// The kernel, written once over a vector `Codes` of 32-bit integers, which the file that includes
// this has:
//
//   kLanes, splat, counted(from)  all the same; from, from + 1, ...
//   nearest(x, scale)             x / scale, rounded half to even, between -127 and 127
//   floored(x, scale, u)          floor(x / scale + u * 2^-24), between the same
//   + * ^ << >>                   of unsigned integers, wrapping around
//   put(fours, to, at)            byte j of fours[k] of lane i goes to to[i][at + 4 k + j]
//   narrow(to)                    the lowest byte of each
#pragma once

#include <cstddef>
#include <cstdint>

#include "planes/places.h"
#include "planes_int8/code.h"
#include "planes_int8/unit.h"

namespace quantlab::planes_int8 {
namespace {

constexpr std::size_t kBatch = 16;  // samples that are done at once

// A mixing function of 32 bits (lowbias32, C. Wellons): one to one, each bit of the result depends
// on each of the input.
template <class C>
inline C mixed(C x) {
  x = (x ^ (x >> 16)) * C::splat(0x7feb352du);
  x = (x ^ (x >> 15)) * C::splat(0x846ca68bu);
  return x ^ (x >> 16);
}

// u: 24 random bits for the number of an index, the same whoever asks: index and both halves of the
// seed, mixed twice.
template <class C>
inline C random_bits(C index, const Rounding& rounding) {
  const C once = mixed(index ^ C::splat(rounding.key[0]));
  return mixed(once ^ C::splat(rounding.key[1])) >> 8;
}

// index: of each number within samples `[B][N]`, however they lie.
template <class C, bool kStochastic, class Index>
inline C codes_of(const Rounding& rounding, const float* x, const Index& index) {
  const C offset = C::splat(128);
  if constexpr (kStochastic) {
    return C::floored(x, rounding.scale, random_bits(index(), rounding)) + offset;
  } else {
    return C::nearest(x, rounding.scale) + offset;
  }
}

// Of numbers of samples `[B][N]` from one on.
template <class C, bool kStochastic>
inline C codes_along(const Rounding& rounding, const float* samples, std::size_t from) {
  return codes_of<C, kStochastic>(rounding, samples + from,
                                  [&] { return C::counted(static_cast<std::uint32_t>(from)); });
}

// Of one number of the samples from b on, whose batch is innermost.
template <class C, bool kStochastic>
inline C codes_across(const Layout& layout, const Rounding& rounding, const float* samples,
                      std::size_t i, std::size_t b) {
  return codes_of<C, kStochastic>(rounding, samples + i * layout.batch + b, [&] {
    const C sample = C::counted(static_cast<std::uint32_t>(b));
    return sample * C::splat(static_cast<std::uint32_t>(layout.size)) +
           C::splat(static_cast<std::uint32_t>(i));
  });
}

template <class C, bool kStochastic>
void lay_out_rows(const Layout& layout, const Rounding& rounding, const float* samples,
                  std::uint8_t* planes, std::size_t begin, std::size_t end) {
  const std::size_t batch = layout.batch;
  planes::Places<float> places(layout, begin);
  for (std::size_t i = begin; i < end; ++i) {
    const std::int64_t place = places.next();
    if (place < 0) continue;
    std::uint8_t* to = planes + static_cast<std::size_t>(place) * batch;
    std::size_t b = 0;
    for (; b + C::kLanes <= batch; b += C::kLanes) {
      codes_across<C, kStochastic>(layout, rounding, samples, i, b).narrow(to + b);
    }
    for (; b < batch; ++b) {
      codes_across<Code, kStochastic>(layout, rounding, samples, i, b).narrow(to + b);
    }
  }
}

template <class C, bool kStochastic>
void lay_out_with(const Layout& layout, const Rounding& rounding, const float* samples,
                  std::uint8_t* planes, std::size_t begin, std::size_t end) {
  if (layout.is_batch_innermost) {
    return lay_out_rows<C, kStochastic>(layout, rounding, samples, planes, begin, end);
  }
  constexpr std::size_t kLanes = C::kLanes;
  const std::size_t batch = layout.batch;
  planes::Places<float> places(layout, begin);
  for (std::size_t i = begin; i < end; i += kLanes) {
    const std::size_t count = end - i < kLanes ? end - i : kLanes;
    std::uint8_t* to[kLanes];
    for (std::size_t j = 0; j < count; ++j) {
      const std::int64_t place = places.next();
      to[j] = place < 0 ? nullptr : planes + static_cast<std::size_t>(place) * batch;
    }
    std::size_t b = 0;
    for (; count == kLanes && b + kBatch <= batch; b += kBatch) {
      C fours[4];
#pragma GCC unroll 4
      for (std::size_t k = 0; k < 4; ++k) {
        const auto row = [&](std::size_t j) {
          return codes_along<C, kStochastic>(rounding, samples, (b + 4 * k + j) * layout.size + i);
        };
        fours[k] = (row(0) ^ (row(1) << 8)) ^ ((row(2) << 16) ^ (row(3) << 24));
      }
      C::put(fours, to, b);
    }
    for (; b < batch; ++b) {
      for (std::size_t j = 0; j < count; ++j) {
        const std::size_t index = b * layout.size + i + j;
        const Code code = codes_along<Code, kStochastic>(rounding, samples, index);
        if (to[j] != nullptr) code.narrow(to[j] + b);
      }
    }
  }
}

template <class C>
void lay_out_over(const Layout& layout, const Rounding& rounding, const float* samples,
                  std::uint8_t* planes, std::size_t begin, std::size_t end) {
  const auto lay_out = rounding.is_stochastic ? lay_out_with<C, true> : lay_out_with<C, false>;
  lay_out(layout, rounding, samples, planes, begin, end);
}

template <class C>
constexpr Unit unit_of() {
  return {C::kLanes, &lay_out_over<C>};
}

}  // namespace
}  // namespace quantlab::planes_int8
