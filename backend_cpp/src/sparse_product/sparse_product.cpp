#include "sparse_product/sparse_product.h"

#include <algorithm>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"
#include "quantlab/shares.h"

namespace quantlab::sparse_product {
namespace {

const KernelTable<Unit<float>>& table() {
  static const KernelTable<Unit<float>> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2},
      {Isa::kAvx512, &avx512},
#endif
  };
  return rows;
}

const KernelTable<Unit<float, Half>>& half_table() {
  static const KernelTable<Unit<float, Half>> rows{
      {Isa::kScalar, &scalar_half},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2_half},
      {Isa::kAvx512, &avx512_half},
      {Isa::kAvx512Fp16, &avx512fp16},
#endif
  };
  return rows;
}

constexpr std::size_t kProductsPerThread = std::size_t{1} << 18;
// Parts of the rows when there are few tiles; of as many connections each.
constexpr std::size_t kRowParts = 16;

constexpr std::size_t kGatheredPerThread = std::size_t{1} << 15;

// The values in the rows' order, in memory that the calling thread keeps.
template <class Number>
const Number* gathered(const Number* values, View<const std::int64_t> order, const Run& run) {
  thread_local std::vector<Number> kept;
  if (kept.size() < order.size) kept.resize(order.size);
  Number* to = kept.data();
  parallel_ranges(order.size, {16, kGatheredPerThread}, run.num_threads,
                  [&](std::size_t begin, std::size_t end) {
                    for (std::size_t i = begin; i < end; ++i) to[i] = values[order.data[i]];
                  });
  return to;
}

template <class Number, class Input>
void multiply_with(const Unit<Number, Input>& unit, Task<Number, Input> task,
                   View<const std::int64_t> order, const Run& run) {
  if (task.lines.count == 0 || task.lines.length == 0 || task.num_rows == 0) return;
  task.values = gathered(task.values, order, run);
  const std::size_t num_tiles = (task.lines.length + unit.tile - 1) / unit.tile;
  const std::size_t all_tiles = task.lines.count * num_tiles;
  const auto connections = static_cast<std::size_t>(task.rows.starts[task.rows.num_groups]);
  const auto threads =
      static_cast<std::size_t>(run.num_threads > 0 ? run.num_threads : max_threads());
  const std::size_t num_parts = all_tiles >= 8 * threads ? 1 : kRowParts;
  const std::vector<std::size_t> ends =
      shares_of({task.rows.starts, task.rows.offsets, task.num_rows}, num_parts);
  const std::size_t products = (connections / num_parts + 1) * unit.tile;
  const std::size_t least = std::max<std::size_t>(kProductsPerThread / products, 1);
  parallel_items(all_tiles * num_parts, least, run.num_threads, [&](std::size_t item) {
    const std::size_t tile = item / num_parts;
    const std::size_t part = item % num_parts;
    const std::size_t begin = tile % num_tiles * unit.tile;
    unit.multiply(task, tile / num_tiles, begin, std::min(begin + unit.tile, task.lines.length),
                  ends[part], ends[part + 1]);
  });
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

std::vector<Isa> half_variants() { return runnable(half_table()); }

void multiply(const Task<float>& task, View<const std::int64_t> order, const Run& run) {
  multiply_with(choose(table(), run.variant), task, order, run);
}

void multiply(const Task<double>& task, View<const std::int64_t> order, const Run& run) {
  multiply_with(scalar_double, task, order, run);
}

void multiply(const Task<float, Half>& task, View<const std::int64_t> order, const Run& run) {
  multiply_with(choose(half_table(), run.variant), task, order, run);
}

}  // namespace quantlab::sparse_product
