#include "convolve_bits/convolve_bits.h"

#include <algorithm>

#include "quantlab/lanes/count.h"

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::convolve_bits {
namespace {

const KernelTable<Unit>& table() {
  static const KernelTable<Unit> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2},
      {Isa::kAvx512Vpopcntdq, &avx512vpopcntdq},
#endif
  };
  return rows;
}

constexpr std::size_t kPartWindows = 192;
constexpr std::size_t kWordsPerThread = std::size_t{1} << 15;

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void pack(const std::int8_t* x, std::size_t num_pixels, std::size_t channels, Planes planes,
          const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  const std::size_t least = std::max<std::size_t>(kWordsPerThread / (channels / 64 + 1), 1);
  parallel_ranges(num_pixels, {1, least}, run.num_threads, [&](std::size_t begin, std::size_t end) {
    unit.pack(x, channels, planes, begin, end);
  });
}

void convolve(const Task& task, std::size_t num_windows, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  const std::size_t num_blocks = (task.num_outputs + kLanes - 1) / kLanes;
  const std::size_t num_parts = (num_windows + kPartWindows - 1) / kPartWindows;
  const std::size_t words =
      std::min(num_windows, kPartWindows) * kLanes * task.windows.num_spans * task.span;
  const std::size_t least = std::max<std::size_t>(kWordsPerThread / (words + 1), 1);
  parallel_items(num_parts * num_blocks, least, run.num_threads, [&](std::size_t item) {
    const std::size_t part = item / num_blocks;
    unit.convolve(task, item % num_blocks, part * kPartWindows,
                  std::min((part + 1) * kPartWindows, num_windows));
  });
}

}  // namespace quantlab::convolve_bits
