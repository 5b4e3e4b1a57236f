// The end of a product, written once over the `Lanes` of an instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "requantize/body.h"
#include "requantize/results.h"

namespace quantlab {
namespace {

// Stores a tile's sums, `stride` numbers a window, and the codes made of them. channel: the first
// of `count` outputs; constant: where their constants begin.
inline void finish(const Results& results, std::size_t num_outputs, std::int32_t* sums,
                   std::size_t stride, std::size_t window, std::size_t num_windows,
                   std::size_t channel, std::size_t constant, std::size_t count) {
  const Rows rows{sums, Kind::kS32};
  for (std::size_t done = 0; done < count; done += kLanes) {
    const std::size_t some = count - done < kLanes ? count - done : kLanes;
    const std::size_t at = window * num_outputs + channel + done;
    if (results.sums != nullptr) {
      for (std::size_t r = 0; r < num_windows; ++r) {
        put_some(Lanes::load(sums + r * stride + done), results.sums + at + r * num_outputs, some);
      }
    }
    for (std::size_t i = 0; i < results.num_codes; ++i) {
      const Codes& codes = results.codes[i];
      const bool is_first = codes.source.data == nullptr;
      make_codes(codes, is_first ? rows : codes.source,
                 {num_windows, some, constant + done, is_first ? done : at,
                  is_first ? stride : num_outputs, at, num_outputs});
    }
  }
}

}  // namespace
}  // namespace quantlab
