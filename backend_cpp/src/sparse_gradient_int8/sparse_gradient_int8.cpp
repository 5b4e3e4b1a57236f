#include "sparse_gradient_int8/sparse_gradient_int8.h"

#include <algorithm>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::sparse_gradient_int8 {
namespace {

const KernelTable<Unit>& table() {
  static const KernelTable<Unit> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2},
      {Isa::kAvx512Vnni, &avx512vnni},
#endif
  };
  return rows;
}

constexpr std::size_t kProductsPerThread = std::size_t{1} << 19;
constexpr std::size_t kBlock = std::size_t{1} << 12;  // numbers: what all planes read stays near
constexpr std::int64_t kGroup = 4096;                 // connections: their sums stay near
constexpr std::int64_t kGroupsPerThread = 4;

// Where groups of planes begin, and the end: a new one as soon as one has enough connections.
std::vector<std::size_t> groups_of(const Connections& planes, const Run& run) {
  const int threads = run.num_threads > 0 ? run.num_threads : max_threads();
  const std::int64_t share = planes.starts[planes.num_groups] / (threads * kGroupsPerThread);
  const std::int64_t enough = std::min(share + 1, kGroup);
  std::vector<std::size_t> begins{0};
  for (std::size_t plane = 1; plane < planes.num_groups; ++plane) {
    if (planes.starts[plane] - planes.starts[begins.back()] >= enough) begins.push_back(plane);
  }
  begins.push_back(planes.num_groups);
  return begins;
}

std::vector<Block> blocks_of(const Task& task) {
  std::size_t num_lines = 0;
  std::size_t length = 0;
  for (std::size_t plane = 0; plane < task.planes.num_groups; ++plane) {
    num_lines = std::max(num_lines, task.places[plane].lines.count);
    length = std::max(length, task.places[plane].lines.length);
  }
  std::vector<Block> blocks;
  const std::size_t step = std::max<std::size_t>(kBlock / std::max<std::size_t>(length, 1), 1);
  for (std::size_t line = 0; line < num_lines; line += step) {
    for (std::size_t begin = 0; begin < length; begin += kBlock) {
      blocks.push_back({line, line + step, begin, begin + kBlock});
    }
  }
  return blocks;
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void multiply(const Task& task, float factor, float* gradients, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  const std::vector<std::size_t> groups = groups_of(task.planes, run);
  const std::vector<Block> blocks = blocks_of(task);
  const auto connections = static_cast<std::size_t>(task.planes.starts[task.planes.num_groups]);
  const std::size_t products = (connections / groups.size() + 1) * kBlock * (blocks.size() + 1);
  const std::size_t least = std::max<std::size_t>(kProductsPerThread / products, 1);
  parallel_items(groups.size() - 1, least, run.num_threads, [&](std::size_t group) {
    const std::int64_t* starts = task.planes.starts;
    const std::int64_t first = starts[groups[group]];
    std::vector<std::int64_t> sums(static_cast<std::size_t>(starts[groups[group + 1]] - first));
    for (const Block& block : blocks) {
      for (std::size_t plane = groups[group]; plane < groups[group + 1]; ++plane) {
        unit.add_dots(task, block, plane, sums.data() + (starts[plane] - first));
      }
    }
    unit.scale(sums.data(), sums.size(), factor, gradients + first);
  });
}

}  // namespace quantlab::sparse_gradient_int8
