#include "bitpack/bitpack.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "bitpack/unit.h"
#include "quantlab/error.h"
#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::bitpack {
namespace {

const KernelTable<Unit>& table() {
  static const KernelTable<Unit> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2},
      {Isa::kAvx512, &avx512},
#endif
  };
  return rows;
}

// Ranges begin at whole bytes of the stream and whole cache lines of codes; a thread is worth
// waking for some ten microseconds of work.
constexpr Split kSplit{/*multiple=*/512, /*min_size=*/std::size_t{1} << 18};

// Outputs from here on are written past the caches, which saves reading them first. A constant:
// what the system tells of its caches is a whole host's on some virtual machines.
constexpr std::size_t kStreamFrom = std::size_t{32} << 20;

std::string first_excess(Codes codes, int num_bits) {
  const int largest = (1 << num_bits) - 1;
  const std::uint8_t* end = codes.data + codes.size;
  const std::uint8_t* at =
      std::find_if(codes.data, end, [&](std::uint8_t code) { return code > largest; });
  return "codes[" + std::to_string(at - codes.data) + "]: " + std::to_string(*at) +
         " does not fit; allowed with num_bits=" + std::to_string(num_bits) + " is 0.." +
         std::to_string(largest);
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

std::size_t packed_bytes(std::size_t num_codes, int num_bits) {
  const std::size_t bits = static_cast<std::size_t>(num_bits);
  return num_codes / 8 * bits + (num_codes % 8 * bits + 7) / 8;  // never overflows
}

void pack(View<const std::uint8_t> codes, int num_bits, View<std::uint8_t> packed, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  std::atomic<unsigned> seen{0};
  parallel_ranges(codes.size, kSplit, run.num_threads, [&](std::size_t begin, std::size_t end) {
    const std::size_t start = packed_bytes(begin, num_bits);
    const Bytes part{packed.data + start, packed_bytes(end - begin, num_bits)};
    seen |= unit.pack({codes.data + begin, end - begin}, num_bits, part);
  });
  if ((seen >> num_bits) != 0) throw UsageError(first_excess(codes, num_bits));
}

void unpack(View<const std::uint8_t> packed, int num_bits, View<std::uint8_t> codes,
            const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  const bool stream = codes.size > kStreamFrom;
  parallel_ranges(codes.size, kSplit, run.num_threads, [&](std::size_t begin, std::size_t end) {
    const std::size_t start = packed_bytes(begin, num_bits);
    const Codes part{packed.data + start, packed_bytes(end - begin, num_bits)};
    unit.unpack(part, num_bits, {codes.data + begin, end - begin}, stream);
  });
}

}  // namespace quantlab::bitpack
