// The end of a product, written once over the `Lanes` of an instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/windows.h"
#include "requantize/body.h"
#include "requantize/results.h"

namespace quantlab {
namespace {

// The outputs whose sums a tile has: the first of `count`, and where their constants begin.
struct Outputs {
  std::size_t first;
  std::size_t count;
  std::size_t constant;
};

// Stores the sums of some windows, `stride` numbers each, and the codes made of them.
inline void finish(const Results& results, std::size_t num_outputs, const Outputs& outputs,
                   std::int32_t* sums, std::size_t stride, std::size_t window,
                   std::size_t num_windows) {
  const Rows rows{sums, Kind::kS32};
  for (std::size_t done = 0; done < outputs.count; done += kLanes) {
    const std::size_t left = outputs.count - done;
    const std::size_t count = left < kLanes ? left : kLanes;
    const std::size_t at = window * num_outputs + outputs.first + done;
    if (results.sums != nullptr) {
      for (std::size_t r = 0; r < num_windows; ++r) {
        put_some(Lanes::load(sums + r * stride + done), results.sums + at + r * num_outputs, count);
      }
    }
    for (std::size_t i = 0; i < results.num_codes; ++i) {
      const Codes& codes = results.codes[i];
      const bool is_first = codes.source.data == nullptr;
      make_codes(codes, is_first ? rows : codes.source,
                 {num_windows, count, outputs.constant + done, is_first ? done : at,
                  is_first ? stride : num_outputs, at, num_outputs});
    }
  }
}

// Calls `tile(places, sums)` for the windows [begin, end), `kRows` at a time with `kSums` sums
// each, and finishes some tiles at once: fewer pay for the constants again, more leave the first
// cache.
template <int kRows, std::size_t kSums, class Tile>
void over_windows(const Windows& windows, const Results& results, std::size_t num_outputs,
                  const Outputs& outputs, std::size_t begin, std::size_t end, const Tile& tile) {
  constexpr std::size_t kStrip = (32 + kRows - 1) / kRows * kRows;
  alignas(64) std::int32_t sums[kStrip * kSums];
  Cursor cursor(windows, begin);
  for (std::size_t window = begin; window < end; window += kStrip) {
    const std::size_t num_windows = end - window < kStrip ? end - window : kStrip;
    for (std::size_t done = 0; done < num_windows; done += kRows) {
      std::size_t places[kRows];
      cursor.take(end - window - done, places);
      tile(places, sums + done * kSums);
    }
    finish(results, num_outputs, outputs, sums, kSums, window, num_windows);
  }
}

}  // namespace
}  // namespace quantlab
