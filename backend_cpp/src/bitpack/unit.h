// What one instruction set brings to the kernel. Its file includes this, body.h and intrinsics, and
// nothing inline from the standard library: the linker keeps one copy of such a function, and it
// might be the one that needs a newer processor.
#pragma once

#include <cstdint>

#include "quantlab/view.h"

namespace quantlab::bitpack {

using Codes = View<const std::uint8_t>;
using Bytes = View<std::uint8_t>;

struct Unit {
  // Packs all codes into exactly ceil(codes.size * num_bits / 8) bytes, unused bits zero. Returns
  // the OR of all codes; if it needs more than num_bits, the bytes written mean nothing.
  std::uint8_t (*pack)(Codes codes, int num_bits, Bytes packed);
  // Unpacks codes.size codes and touches no byte behind either view. `stream`: write past the
  // caches.
  void (*unpack)(Codes packed, int num_bits, Bytes codes, bool stream);
};

extern const Unit scalar;
extern const Unit avx2;
extern const Unit avx512;

}  // namespace quantlab::bitpack
