#include "sparse_gather/sparse_gather.h"

#include <algorithm>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::sparse_gather {
namespace {

// AVX-512 has no row of its own: numbers are loaded one by one for either width, since its gather
// was mostly slower than that, on two processors.
const KernelTable<Unit<float>>& table() {
  static const KernelTable<Unit<float>> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2},
#endif
  };
  return rows;
}

constexpr std::size_t kProductsPerThread = std::size_t{1} << 16;
// Rows or columns that a thread takes at once: their results fill whole lines of the cache.
constexpr std::size_t kAtOnce = 32;

// Calls `body(first, last)` for all rows, or columns, of connections.
template <class Body>
void share(std::size_t count, const Connections& groups, std::size_t batch, const Run& run,
           const Body& body) {
  if (count == 0) return;
  const std::size_t num_items = (count + kAtOnce - 1) / kAtOnce;
  const auto connections = static_cast<std::size_t>(groups.starts[groups.num_groups]);
  const std::size_t products = connections * batch / num_items + 1;
  const std::size_t least = std::max<std::size_t>(kProductsPerThread / products, 1);
  parallel_items(num_items, least, run.num_threads, [&](std::size_t item) {
    body(item * kAtOnce, std::min((item + 1) * kAtOnce, count));
  });
}

template <class Number>
void multiply_with(const Unit<Number>& unit, const ProductTask<Number>& task, const Run& run) {
  share(task.shape.num_rows, task.rows, task.shape.batch, run,
        [&](std::size_t first, std::size_t last) { unit.multiply(task, first, last); });
}

template <class Number>
void go_back_with(const Unit<Number>& unit, const GradientTask<Number>& task, const Run& run) {
  share(task.shape.num_columns, task.columns, task.shape.batch, run,
        [&](std::size_t first, std::size_t last) { unit.go_back(task, first, last); });
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void multiply(const ProductTask<float>& task, const Run& run) {
  multiply_with(choose(table(), run.variant), task, run);
}

void multiply(const ProductTask<double>& task, const Run& run) {
  multiply_with(scalar_double, task, run);
}

void go_back(const GradientTask<float>& task, const Run& run) {
  go_back_with(choose(table(), run.variant), task, run);
}

void go_back(const GradientTask<double>& task, const Run& run) {
  go_back_with(scalar_double, task, run);
}

}  // namespace quantlab::sparse_gather
