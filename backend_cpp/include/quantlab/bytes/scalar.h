// Bytes of neighboring positions and sums of their products, for any processor; the instruction
// sets' files in this folder have structs with the same members:
//
//   Bytes        unsigned; load: any address, with a count only so many are touched, others are 0
//   flipped()    of q + 128: q, signed
//   FourWeights  signed bytes
//   Sums         of 32 bits, one for each position, kTile vectors of them fill the registers
//   add(x, w)    x[0] w[0] + x[1] w[1] + x[2] w[2] + x[3] w[3] of each position
//   store        factor * sum + bias, each rounded; with a count only so many
//   Dot          one sum over all positions, of unsigned bytes times signed ones
//   add_eight    adds eight of them, less an excess, to sums of 64 bits
//
// Sums wrap around. Files of an instruction set include one of them and nothing inline from the
// standard library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quantlab {
namespace {

struct Bytes {
  static constexpr std::size_t kLanes = 16;

  std::uint8_t x[kLanes];

  static Bytes splat(std::uint8_t value) {
    Bytes a;
    for (std::size_t i = 0; i < kLanes; ++i) a.x[i] = value;
    return a;
  }
  static Bytes load(const std::uint8_t* from) { return load(from, kLanes); }
  static Bytes load(const std::uint8_t* from, std::size_t count) {
    Bytes a = splat(0);
    for (std::size_t i = 0; i < count; ++i) a.x[i] = from[i];
    return a;
  }
  Bytes flipped() const {
    Bytes a;
    for (std::size_t i = 0; i < kLanes; ++i) a.x[i] = x[i] ^ 0x80;
    return a;
  }
};

struct FourWeights {
  std::int8_t w[4];

  static FourWeights of(const std::int8_t* from) { return {{from[0], from[1], from[2], from[3]}}; }
};

struct Sums {
  static constexpr int kTile = 4;

  std::uint32_t x[Bytes::kLanes];

  static Sums splat(std::int32_t value) {
    Sums a;
    for (std::size_t i = 0; i < Bytes::kLanes; ++i) a.x[i] = static_cast<std::uint32_t>(value);
    return a;
  }
  void add(const Bytes (&four)[4], FourWeights weights) {
    for (std::size_t i = 0; i < Bytes::kLanes; ++i) {
      std::int32_t sum = 0;
      for (int j = 0; j < 4; ++j) sum += four[j].x[i] * weights.w[j];
      x[i] += static_cast<std::uint32_t>(sum);
    }
  }
  void store(float* to, float factor, float bias) const { store(to, factor, bias, Bytes::kLanes); }
  void store(float* to, float factor, float bias, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) {
      to[i] = static_cast<float>(static_cast<std::int32_t>(x[i])) * factor + bias;
    }
  }
};

struct Dot {
  std::uint32_t x;

  static Dot zero() { return {0}; }
  void add(const Bytes& bytes, const Bytes& signed_bytes) {
    std::int32_t total = 0;
    for (std::size_t i = 0; i < Bytes::kLanes; ++i) {
      total += bytes.x[i] * static_cast<std::int8_t>(signed_bytes.x[i]);
    }
    x += static_cast<std::uint32_t>(total);
  }
  std::int32_t sum() const { return static_cast<std::int32_t>(x); }
  static void add_eight(const Dot* dots, std::int64_t excess, std::int64_t* sums) {
    for (int i = 0; i < 8; ++i) sums[i] += dots[i].sum() - excess;
  }
};

}  // namespace
}  // namespace quantlab
