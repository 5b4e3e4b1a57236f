// The kernel, written once: plain loops, which the compiler makes vectors of. What is added up is
// added up in `kLanes` places of its own, so that the order is the same for all instruction sets.
#pragma once

#include <cstddef>
#include <cstdint>

#include "normalize/unit.h"

namespace quantlab::normalize {
namespace {

constexpr std::size_t kLanes = 32;
constexpr float kSteps = 253.0f;  // for what lies on a step, and thresholds beyond all numbers

// Adds `term(i)` over [0, count): in blocks, in whose places floats do not grow large.
template <class Term>
double sum_of(std::size_t count, const Term& term) {
  constexpr std::size_t kBlock = 4096;
  double total = 0.0;
  for (std::size_t block = 0; block < count; block += kBlock) {
    const std::size_t end = count - block < kBlock ? count : block + kBlock;
    float lanes[kLanes] = {};
    std::size_t i = block;
    for (; i + kLanes <= end; i += kLanes) {
      for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += term(i + j);
    }
    for (std::size_t j = 0; i < end; ++i, ++j) lanes[j] += term(i);
    for (std::size_t j = 0; j < kLanes; ++j) total += static_cast<double>(lanes[j]);
  }
  return total;
}

inline float smaller(float a, float b) { return b < a ? b : a; }
inline float larger(float a, float b) { return b > a ? b : a; }

struct Ends {
  float low;
  float high;
};

inline Ends ends_of(const float* x, std::size_t count) {
  float low[kLanes];
  float high[kLanes];
  for (std::size_t j = 0; j < kLanes; ++j) low[j] = high[j] = x[0];
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      low[j] = smaller(low[j], x[i + j]);
      high[j] = larger(high[j], x[i + j]);
    }
  }
  for (std::size_t j = 0; i < count; ++i, ++j) {
    low[j] = smaller(low[j], x[i]);
    high[j] = larger(high[j], x[i]);
  }
  for (std::size_t j = 1; j < kLanes; ++j) {
    low[0] = smaller(low[0], low[j]);
    high[0] = larger(high[0], high[j]);
  }
  return {low[0], high[0]};
}

inline float rounded_down(float x) {
  const auto whole = static_cast<float>(static_cast<std::int32_t>(x));
  return whole > x ? whole - 1.0f : whole;
}

inline std::uint8_t byte_of(std::int32_t code) {
  return static_cast<std::uint8_t>(code < 0 ? 0 : code > 255 ? 255 : code);
}

inline void moments_over(const Forward& task, std::size_t channel) {
  const float* z = task.z + channel * task.count;
  const double size = static_cast<double>(task.count);
  const double sum = sum_of(task.count, [&](std::size_t i) { return z[i]; });
  const auto mean = static_cast<float>(sum / size);
  const double squares =
      sum_of(task.count, [&](std::size_t i) { return (z[i] - mean) * (z[i] - mean); });
  task.mean[channel] = mean;
  task.variance[channel] = static_cast<float>(squares / size);
}

inline void forward_over(const Forward& task, std::size_t channel) {
  float* __restrict__ z = task.z + channel * task.count;
  std::uint8_t* __restrict__ codes = task.kept.codes + channel * task.count;
  const std::size_t count = task.count;
  const float mean = task.mean[channel];
  const float factor = task.kept.factor[channel];
  const Ends ends = ends_of(z, count);
  const float low = (ends.low - mean) * factor;
  const float high = (ends.high - mean) * factor;
  const float gamma = task.constants.gamma[channel];
  const float beta = task.constants.beta[channel];
  const float step = high > low ? (high - low) / kSteps : 1.0f;
  float threshold = gamma == 0.0f ? high : -beta / gamma;
  threshold = smaller(larger(threshold, low - step / 4), high + step / 4);
  const auto first = static_cast<std::int32_t>(rounded_down((low - threshold) / step)) - 1;
  // A number on the threshold is not positive, on whichever side the positive ones are: of those
  // above, ceil - 1 is the step, of those below, floor.
  const bool is_up = gamma > 0.0f;
  const float inverse = 1.0f / step;
  const float least = task.constants.has_relu ? 0.0f : -__builtin_huge_valf();
  for (std::size_t i = 0; i < count; ++i) {
    const float n = (z[i] - mean) * factor;
    const float steps = (n - threshold) * inverse;
    const auto whole = static_cast<std::int32_t>(steps);
    const auto back = static_cast<float>(whole);
    const std::int32_t above = whole + (steps > back ? 1 : 0) - 1;
    const std::int32_t below = whole - (steps < back ? 1 : 0);
    codes[i] = byte_of((is_up ? above : below) - first);
    const float a = gamma * n + beta;
    z[i] = a < least ? least : a;  // what is not a number stays
  }
  task.kept.step[channel] = step;
  task.kept.start[channel] = threshold + (static_cast<float>(first) + 0.5f) * step;
  task.kept.above[channel] = static_cast<float>(-first);
}

// The codes of numbers that the ReLU let pass: `count` of them from `first` on.
struct Passing {
  std::uint32_t first;
  std::uint32_t count;

  float of(float gradient, std::uint8_t code) const {
    return std::uint32_t{code} - first < count ? gradient : 0.0f;
  }
};

inline Passing passing_of(const Backward& task, std::size_t channel) {
  const float gamma = task.constants.gamma[channel];
  const auto above =
      static_cast<std::uint32_t>(static_cast<std::int32_t>(task.kept.above[channel]));
  if (!task.constants.has_relu) return {0, 256};
  if (gamma == 0.0f) return {0, task.constants.beta[channel] > 0.0f ? 256u : 0u};
  return gamma > 0.0f ? Passing{above, 256} : Passing{0, above};
}

struct GradientSums {
  double alone;
  double with_code;
};

// Of the gradient, and of its products with the codes: added up as `sum_of` does.
inline GradientSums sums_of(const float* gradient, const std::uint8_t* codes, std::size_t count,
                            Passing passing) {
  constexpr std::size_t kBlock = 4096;
  GradientSums total{0.0, 0.0};
  for (std::size_t block = 0; block < count; block += kBlock) {
    const std::size_t end = count - block < kBlock ? count : block + kBlock;
    float alone[kLanes] = {};
    float with_code[kLanes] = {};
    const auto add = [&](std::size_t i, std::size_t lane) {
      const float number = passing.of(gradient[i], codes[i]);
      alone[lane] += number;
      with_code[lane] += number * static_cast<float>(static_cast<std::int32_t>(codes[i]));
    };
    std::size_t i = block;
    for (; i + kLanes <= end; i += kLanes) {
      for (std::size_t j = 0; j < kLanes; ++j) add(i + j, j);
    }
    for (std::size_t j = 0; i < end; ++i, ++j) add(i, j);
    for (std::size_t j = 0; j < kLanes; ++j) {
      total.alone += static_cast<double>(alone[j]);
      total.with_code += static_cast<double>(with_code[j]);
    }
  }
  return total;
}

inline void backward_over(const Backward& task, std::size_t channel) {
  const std::size_t count = task.count;
  const float* y_gradient = task.y_gradient + channel * count;
  float* z_gradient = task.z_gradient + channel * count;
  const std::uint8_t* codes = task.kept.codes + channel * count;
  const float step = task.kept.step[channel];
  const float start = task.kept.start[channel];
  const Passing passing = passing_of(task, channel);
  const GradientSums sums = sums_of(y_gradient, codes, count, passing);
  // The sum of gradient * n, where n = start + code * step.
  const double gamma_sum = sums.alone * start + sums.with_code * step;
  task.beta_gradient[channel] = static_cast<float>(sums.alone);
  task.gamma_gradient[channel] = static_cast<float>(gamma_sum);
  const auto mean = static_cast<float>(sums.alone / static_cast<double>(count));
  const auto slope = static_cast<float>(gamma_sum / static_cast<double>(count));
  const float factor = task.constants.gamma[channel] * task.kept.factor[channel];
  for (std::size_t i = 0; i < count; ++i) {
    const float n = start + static_cast<float>(static_cast<std::int32_t>(codes[i])) * step;
    z_gradient[i] = (passing.of(y_gradient[i], codes[i]) - mean - n * slope) * factor;
  }
}

inline void encode_over(const float* x, std::size_t count, float start, float step,
                        std::uint8_t* codes) {
  const float inverse = 1.0f / step;
  for (std::size_t i = 0; i < count; ++i) {
    codes[i] = byte_of(static_cast<std::int32_t>((x[i] - start) * inverse + 0.5f));
  }
}

}  // namespace
}  // namespace quantlab::normalize
