// Thirty-two halves in one register, whose products are added up in 16 bits; totals in memory are
// floats. See quantlab/floats/scalar.h.
//
// Nothing overflows where numbers are below 2^6 and factors below 2^4: 32 of their products are
// below 2^15, and so are the products of 8 pairs of numbers.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "quantlab/floats/avx512.h"

namespace quantlab {
namespace {

struct Halves {
  using Number = float;
  static constexpr std::size_t kLanes = 32;
  static constexpr std::size_t kMostProducts = 32;  // the error grows with their number

  __m512h x;

  struct Factors {
    alignas(64) _Float16 values[kMostProducts];

    Factors(const float* from, std::size_t count) {
      _mm256_store_ph(values, _mm512_cvtxps_ph(Floats::load(from, some(count)).x));
      if (count > Floats::kLanes) {
        const Floats rest = Floats::load(from + Floats::kLanes, count - Floats::kLanes);
        _mm256_store_ph(values + Floats::kLanes, _mm512_cvtxps_ph(rest.x));
      }
    }
    Halves operator[](std::size_t i) const { return {_mm512_set1_ph(values[i])}; }
  };

  static Halves zero() { return {_mm512_setzero_ph()}; }
  static Halves load(const Half* from) { return {_mm512_loadu_ph(from)}; }
  static Halves load(const Half* from, std::size_t count) {
    const auto used = static_cast<__mmask32>((1ull << count) - 1ull);
    return {_mm512_castsi512_ph(_mm512_maskz_loadu_epi16(used, from))};
  }
  void store(float* to) const {
    low().store(to);
    high().store(to + Floats::kLanes);
  }
  void store(float* to, std::size_t count) const {
    low().store(to, some(count));
    if (count > Floats::kLanes) high().store(to + Floats::kLanes, count - Floats::kLanes);
  }
  void store_above(float start, float* to) const {
    low().store_above(start, to);
    high().store_above(start, to + Floats::kLanes);
  }
  void store_above(float start, float* to, std::size_t count) const {
    low().store_above(start, to, some(count));
    if (count > Floats::kLanes) {
      high().store_above(start, to + Floats::kLanes, count - Floats::kLanes);
    }
  }
  void add_to(float* to) const {
    low().add_to(to);
    high().add_to(to + Floats::kLanes);
  }
  void add_to(float* to, std::size_t count) const {
    low().add_to(to, some(count));
    if (count > Floats::kLanes) high().add_to(to + Floats::kLanes, count - Floats::kLanes);
  }
  void add_product(Halves a, Halves b) { x = _mm512_fmadd_ph(a.x, b.x, x); }
  static void four_sums(Halves a, Halves b, Halves c, Halves d, float* totals, std::size_t count) {
    Floats::four_sums(a.folded(), b.folded(), c.folded(), d.folded(), totals, count);
  }

 private:
  static std::size_t some(std::size_t count) {
    return count < Floats::kLanes ? count : Floats::kLanes;
  }
  Floats low() const { return {_mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_castph_si512(x)))}; }
  Floats high() const {
    return {_mm512_cvtph_ps(_mm512_extracti64x4_epi64(_mm512_castph_si512(x), 1))};
  }
  Floats folded() const { return low().plus(high()); }
};

}  // namespace
}  // namespace quantlab
