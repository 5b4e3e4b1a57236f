// The kernel, written once over the vectors of quantlab/floats: squares of numbers are transposed
// in registers, or rows of the batch are copied where it is innermost already.
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

// The row of B numbers at a place; none below zero.
template <class InPlane>
inline InPlane* row_at(InPlane* planes, std::int64_t place, std::size_t batch) {
  return place < 0 ? nullptr : planes + static_cast<std::size_t>(place) * batch;
}

template <class V, class From, class To>
inline void copy_row(const From* from, std::size_t batch, typename V::Number factor, To* to) {
  const V factors = V::splat(factor);
  std::size_t b = 0;
  for (; b + V::kLanes <= batch; b += V::kLanes) V::load(from + b).times(factors).store(to + b);
  for (; b < batch; ++b) {
    const auto number = static_cast<typename V::Number>(got(from + b));
    put(number * factor, to + b);
  }
}

template <class V, class InPlane>
void lay_out_rows(const Task<typename V::Number>& task, const typename V::Number* samples,
                  InPlane* planes, std::size_t begin, std::size_t end) {
  Places<typename V::Number> places(task, begin);
  for (std::size_t i = begin; i < end; ++i) {
    InPlane* to = row_at(planes, places.next(), task.batch);
    if (to != nullptr) copy_row<V>(samples + i * task.batch, task.batch, task.factor, to);
  }
}

template <class V, class InPlane>
void collect_rows(const Task<typename V::Number>& task, const InPlane* planes,
                  typename V::Number* samples, std::size_t begin, std::size_t end) {
  const std::size_t batch = task.batch;
  Places<typename V::Number> places(task, begin);
  for (std::size_t i = begin; i < end; ++i) {
    const InPlane* from = row_at(planes, places.next(), batch);
    typename V::Number* to = samples + i * batch;
    if (from != nullptr) {
      copy_row<V>(from, batch, task.factor, to);
    } else {
      for (std::size_t b = 0; b < batch; ++b) to[b] = 0;
    }
  }
}

template <class V, class InPlane>
void decode_over(const Task<typename V::Number>& task, const std::uint8_t* codes,
                 typename V::Number start, InPlane* planes, std::size_t begin, std::size_t end) {
  using Number = typename V::Number;
  constexpr std::size_t kBlock = 64;
  const Number step = task.factor;
  Places<Number> places(task, begin);
  for (std::size_t i = begin; i < end; ++i) {
    InPlane* to = row_at(planes, places.next(), task.batch);
    if (to == nullptr) continue;
    const std::uint8_t* from = codes + i * task.batch;
    for (std::size_t b = 0; b < task.batch; b += kBlock) {
      const std::size_t count = task.batch - b < kBlock ? task.batch - b : kBlock;
      Number numbers[kBlock];
      for (std::size_t j = 0; j < count; ++j) {
        numbers[j] = start + static_cast<Number>(static_cast<std::int32_t>(from[b + j])) * step;
      }
      copy_row<V>(numbers, count, Number{1}, to + b);
    }
  }
}

template <class V, class InPlane>
void lay_out_over(const Task<typename V::Number>& task, const typename V::Number* samples,
                  InPlane* planes, std::size_t begin, std::size_t end) {
  using Number = typename V::Number;
  if (task.is_batch_innermost) return lay_out_rows<V>(task, samples, planes, begin, end);
  const V factor = V::splat(task.factor);
  constexpr std::size_t kSize = V::kLanes;
  const std::size_t batch = task.batch;
  Places<Number> places(task, begin);
  for (std::size_t i = begin; i < end; i += kSize) {
    const std::size_t count = end - i < kSize ? end - i : kSize;
    InPlane* to[kSize];
    for (std::size_t j = 0; j < count; ++j) {
      to[j] = row_at(planes, places.next(), batch);
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
  if (task.is_batch_innermost) return collect_rows<V>(task, planes, samples, begin, end);
  const V factor = V::splat(task.factor);
  constexpr std::size_t kSize = V::kLanes;
  const std::size_t batch = task.batch;
  Places<Number> places(task, begin);
  for (std::size_t i = begin; i < end; i += kSize) {
    const std::size_t count = end - i < kSize ? end - i : kSize;
    const InPlane* from[kSize];
    for (std::size_t j = 0; j < count; ++j) {
      from[j] = row_at(planes, places.next(), batch);
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
  return {V::kLanes, &lay_out_over<V, InPlane>, &collect_over<V, InPlane>,
          &decode_over<V, InPlane>};
}

}  // namespace
}  // namespace quantlab::planes
