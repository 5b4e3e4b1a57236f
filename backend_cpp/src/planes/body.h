// The kernel, written once over the vectors of quantlab/floats: squares of numbers are transposed
// in registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "planes/places.h"
#include "planes/unit.h"

namespace quantlab::planes {
namespace {

inline void put(double x, double* to) { *to = x; }
inline void put(float x, float* to) { *to = x; }
inline void put(float x, Half* to) { *to = half_of(x); }
inline double got(const double* from) { return *from; }
inline float got(const float* from) { return *from; }
inline float got(const Half* from) { return float_of(*from); }

template <class V, class InPlane>
void lay_out_over(const Task<typename V::Number>& task, const typename V::Number* samples,
                  InPlane* planes, std::size_t begin, std::size_t end) {
  using Number = typename V::Number;
  const V factor = V::splat(task.factor);
  constexpr std::size_t kSize = V::kLanes;
  const std::size_t batch = task.batch;
  Places<Number> places(task, begin);
  for (std::size_t i = begin; i < end; i += kSize) {
    const std::size_t count = end - i < kSize ? end - i : kSize;
    InPlane* to[kSize];
    for (std::size_t j = 0; j < count; ++j) {
      const std::int64_t place = places.next();
      to[j] = place < 0 ? nullptr : planes + static_cast<std::size_t>(place) * batch;
    }
    std::size_t b = 0;
    for (; count == kSize && b + kSize <= batch; b += kSize) {
      V square[kSize];
#pragma GCC unroll 16
      for (std::size_t j = 0; j < kSize; ++j)
        square[j] = V::load(samples + (b + j) * task.size + i);
      V::transpose(square);
#pragma GCC unroll 16
      for (std::size_t j = 0; j < kSize; ++j) {
        if (to[j] != nullptr) square[j].times(factor).store(to[j] + b);
      }
    }
    for (; b < batch; ++b) {
      for (std::size_t j = 0; j < count; ++j) {
        if (to[j] != nullptr) put(samples[b * task.size + i + j] * task.factor, to[j] + b);
      }
    }
  }
}

template <class V, class InPlane>
void collect_over(const Task<typename V::Number>& task, const InPlane* planes,
                  typename V::Number* samples, std::size_t begin, std::size_t end) {
  using Number = typename V::Number;
  const V factor = V::splat(task.factor);
  constexpr std::size_t kSize = V::kLanes;
  const std::size_t batch = task.batch;
  Places<Number> places(task, begin);
  for (std::size_t i = begin; i < end; i += kSize) {
    const std::size_t count = end - i < kSize ? end - i : kSize;
    const InPlane* from[kSize];
    for (std::size_t j = 0; j < count; ++j) {
      const std::int64_t place = places.next();
      from[j] = place < 0 ? nullptr : planes + static_cast<std::size_t>(place) * batch;
    }
    std::size_t b = 0;
    for (; count == kSize && b + kSize <= batch; b += kSize) {
      V square[kSize];
#pragma GCC unroll 16
      for (std::size_t j = 0; j < kSize; ++j) {
        square[j] = from[j] == nullptr ? V::zero() : V::load(from[j] + b);
      }
      V::transpose(square);
#pragma GCC unroll 16
      for (std::size_t j = 0; j < kSize; ++j) {
        square[j].times(factor).store(samples + (b + j) * task.size + i);
      }
    }
    for (; b < batch; ++b) {
      for (std::size_t j = 0; j < count; ++j) {
        samples[b * task.size + i + j] = from[j] == nullptr ? 0 : got(from[j] + b) * task.factor;
      }
    }
  }
}

template <class V, class InPlane = typename V::Number>
constexpr Unit<typename V::Number, InPlane> unit_of() {
  return {V::kLanes, &lay_out_over<V, InPlane>, &collect_over<V, InPlane>};
}

}  // namespace
}  // namespace quantlab::planes
