#include "sparse_product_int8/sparse_product_int8.h"

#include <algorithm>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"
#include "quantlab/shares.h"

namespace quantlab::sparse_product_int8 {
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
// Parts of the rows when there are few tiles; of as many connections each.
constexpr std::size_t kRowParts = 16;

std::vector<std::int32_t> starts_of(const Task& task) {
  std::vector<std::int32_t> starts(task.rows.num_groups);
  for (std::size_t row = 0; row < starts.size(); ++row) {
    std::int32_t sum = 0;
    for (std::int64_t i = task.rows.starts[row]; i < task.rows.starts[row + 1]; ++i) {
      sum += task.weights[i];
    }
    starts[row] = -128 * sum;
  }
  return starts;
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void multiply(Task task, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  std::size_t num_lines = 0;
  std::size_t length = 0;
  for (std::size_t row = 0; row < task.rows.num_groups; ++row) {
    num_lines = std::max(num_lines, task.places[row].lines.count);
    length = std::max(length, task.places[row].lines.length);
  }
  if (num_lines == 0 || length == 0) return;
  const std::vector<std::int32_t> starts = starts_of(task);
  task.starts = starts.data();
  const std::size_t num_tiles = (length + unit.tile - 1) / unit.tile;
  const std::size_t all_tiles = num_lines * num_tiles;
  const auto connections = static_cast<std::size_t>(task.rows.starts[task.rows.num_groups]);
  const auto threads =
      static_cast<std::size_t>(run.num_threads > 0 ? run.num_threads : max_threads());
  const std::size_t num_parts = threads == 1 || all_tiles >= 8 * threads ? 1 : kRowParts;
  const std::vector<std::size_t> ends = shares_of(task.rows, num_parts);
  const std::size_t products = (connections / num_parts + 1) * unit.tile;
  const std::size_t least = std::max<std::size_t>(kProductsPerThread / products, 1);
  parallel_items(all_tiles * num_parts, least, run.num_threads, [&](std::size_t item) {
    const std::size_t tile = item / num_parts;
    const std::size_t part = item % num_parts;
    unit.multiply(task, tile / num_tiles, tile % num_tiles * unit.tile, ends[part], ends[part + 1]);
  });
}

}  // namespace quantlab::sparse_product_int8
