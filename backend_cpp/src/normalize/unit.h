// What one instruction set brings to the kernel; the rules of bitpack/unit.h hold here too.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quantlab::normalize {

// A batch norm, and a ReLU if there is one, over channels of `count` numbers each. With n = (z -
// mean) / sqrt(variance + eps) and a = gamma n + beta, numbers n are kept in eight bits as start +
// code * step, where all codes from `above` on are on one side of the n where a is zero.
struct Constants {
  const float* gamma;
  const float* beta;
  bool has_relu;
};

struct Kept {
  std::uint8_t* codes;  // [channels][count]
  float* step;          // of each channel
  float* start;
  float* above;
  float* factor;  // 1 / sqrt(variance + eps)
};

struct Forward {
  float* z;  // [channels][count]; becomes max(a, 0), or a
  std::size_t count;
  Constants constants;
  Kept kept;
  float* mean;
  float* variance;
};

struct Backward {
  const float* y_gradient;  // [channels][count], of the outputs
  float* z_gradient;        // the same size; may be the same memory
  std::size_t count;
  Constants constants;
  Kept kept;
  float* gamma_gradient;
  float* beta_gradient;
};

struct Unit {
  // Mean and variance; then, with the factor that the driver makes of them, all else.
  void (*moments)(const Forward& task, std::size_t channel);
  void (*forward)(const Forward& task, std::size_t channel);
  void (*backward)(const Backward& task, std::size_t channel);
  // Codes of numbers that are start + code * step, rounded.
  void (*encode)(const float* x, std::size_t count, float start, float step, std::uint8_t* codes);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;

}  // namespace quantlab::normalize
