// Dense little-endian bit streams: code i of b bits occupies bits [i * b, (i + 1) * b).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "quantlab/isa.h"
#include "quantlab/run.h"
#include "quantlab/view.h"

namespace quantlab::bitpack {

// The rows of the table that run here.
std::vector<Isa> variants();

// Bytes of num_codes codes of num_bits bits each.
std::size_t packed_bytes(std::size_t num_codes, int num_bits);

// num_bits in 1..8, packed.size == packed_bytes(codes.size, num_bits), no overlap. Raises
// UsageError naming the first code that needs more bits; `packed` then holds nothing of use.
void pack(View<const std::uint8_t> codes, int num_bits, View<std::uint8_t> packed, const Run& run);

// The inverse, under the same conditions.
void unpack(View<const std::uint8_t> packed, int num_bits, View<std::uint8_t> codes,
            const Run& run);

}  // namespace quantlab::bitpack
