#include "requantize/requantize.h"

#include <algorithm>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"
#include "requantize/unit.h"

namespace quantlab::requantize {
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

constexpr std::size_t kNumbersPerThread = std::size_t{1} << 15;

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void requantize(Rows sums, std::size_t num_rows, std::size_t num_channels, const Codes& codes,
                const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  const std::size_t least = kNumbersPerThread / std::max<std::size_t>(num_channels, 1);
  parallel_ranges(num_rows, {1, std::max<std::size_t>(least, 1)}, run.num_threads,
                  [&](std::size_t begin, std::size_t end) {
                    unit.requantize(sums, num_channels, begin, end, codes);
                  });
}

}  // namespace quantlab::requantize
