#include "convolve/convolve.h"

#include <algorithm>

#include "quantlab/lanes/count.h"

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::convolve {
namespace {

const KernelTable<Unit>& table() {
  static const KernelTable<Unit> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2},
      {Isa::kAvx512, &avx512},
      {Isa::kAvx512Vnni, &avx512vnni},
#endif
  };
  return rows;
}

// So many windows' input stays in the second cache while the outputs are gone through. A multiple
// of the rows of every tile but those of 10, AVX-512 without VNNI: of these the last is partly
// unused.
constexpr std::size_t kPartWindows = 192;
constexpr std::size_t kProductsPerThread = std::size_t{1} << 18;

std::size_t divided_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

void depthwise(const Unit& unit, const Task& task, std::size_t num_windows, const Run& run) {
  const std::size_t num_blocks = divided_up(task.weights.num_outputs, kLanes);
  const std::size_t num_parts = divided_up(num_windows, kPartWindows);
  const std::size_t products =
      std::min(num_windows, kPartWindows) * kLanes * task.windows.num_spans;
  const std::size_t least = std::max<std::size_t>(kProductsPerThread / 16 / (products + 1), 1);
  parallel_items(num_parts * num_blocks, least, run.num_threads, [&](std::size_t item) {
    const std::size_t part = item / num_blocks;
    unit.depthwise(task, item % num_blocks, part * kPartWindows,
                   std::min((part + 1) * kPartWindows, num_windows));
  });
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void convolve(const Task& task, std::size_t num_windows, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  const Weights& weights = task.weights;
  if (num_windows == 0 || weights.num_outputs == 0) return;
  if (weights.is_depthwise) return depthwise(unit, task, num_windows, run);
  const auto most = static_cast<std::size_t>(unit.max_blocks);
  const std::size_t group_blocks = divided_up(weights.num_outputs / weights.num_groups, kLanes);
  const std::size_t group_panels = divided_up(group_blocks, most);  // panels of up to `most` blocks
  const std::size_t num_panels = weights.num_groups * group_panels;
  const std::size_t num_parts = divided_up(num_windows, kPartWindows);
  const std::size_t products = std::min(num_windows, kPartWindows) * most * kLanes *
                               task.windows.num_spans * weights.num_chunks * 4;
  const std::size_t least = std::max<std::size_t>(kProductsPerThread / (products + 1), 1);
  parallel_items(num_parts * num_panels, least, run.num_threads, [&](std::size_t item) {
    const std::size_t part = item / num_panels;
    const std::size_t panel = item % num_panels;
    const std::size_t first = panel % group_panels * most;
    const std::size_t count = std::min(most, group_blocks - first);
    unit.convolve(task, panel / group_panels * group_blocks + first, static_cast<int>(count),
                  part * kPartWindows, std::min((part + 1) * kPartWindows, num_windows));
  });
}

std::size_t peak(std::size_t repeats, const Run& run) {
  return choose(table(), run.variant).peak(repeats);
}

}  // namespace quantlab::convolve
