// One code at a time, for any processor and for what is left of vectors; see planes_int8/body.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quantlab::planes_int8 {
namespace {

struct Code {
  static constexpr std::size_t kLanes = 1;

  std::uint32_t x;

  static Code splat(std::uint32_t value) { return {value}; }
  static Code counted(std::uint32_t from) { return {from}; }
  static Code nearest(const float* x, float scale) {
    // Of the numbers between 2^23 and 2^24 neighbors are one apart: adding it rounds.
    constexpr float kRounds = 12582912.0f;  // 1.5 * 2^23
    return of((scaled(*x, scale) + kRounds) - kRounds);
  }
  static Code floored(const float* x, float scale, Code u) {
    const float number = scaled(*x, scale) + static_cast<float>(u.x) * 0x1p-24f;
    const auto whole = static_cast<std::int32_t>(number);
    const std::int32_t below = static_cast<float>(whole) > number ? whole - 1 : whole;
    return {static_cast<std::uint32_t>(below > 127 ? 127 : below)};
  }
  static void put(const Code (&fours)[4], std::uint8_t* const* to, std::size_t at) {
    if (to[0] == nullptr) return;
    for (std::size_t i = 0; i < 16; ++i) {
      to[0][at + i] = static_cast<std::uint8_t>(fours[i / 4].x >> (8 * (i % 4)));
    }
  }
  void narrow(std::uint8_t* to) const { *to = static_cast<std::uint8_t>(x); }

 private:
  static float scaled(float x, float scale) {
    const float number = x / scale;
    const float least = number > -127.0f ? number : -127.0f;
    return least < 127.0f ? least : 127.0f;
  }
  static Code of(float number) {
    return {static_cast<std::uint32_t>(static_cast<std::int32_t>(number))};
  }
};

inline Code operator+(Code a, Code b) { return {a.x + b.x}; }
inline Code operator*(Code a, Code b) { return {a.x * b.x}; }
inline Code operator^(Code a, Code b) { return {a.x ^ b.x}; }
inline Code operator<<(Code a, int count) { return {a.x << count}; }
inline Code operator>>(Code a, int count) { return {a.x >> count}; }

}  // namespace
}  // namespace quantlab::planes_int8
