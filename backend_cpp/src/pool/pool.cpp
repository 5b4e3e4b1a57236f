#include "pool/pool.h"

#include <algorithm>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::pool {
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

constexpr std::size_t kNumbersPerThread = std::size_t{1} << 16;

using Pool = void (*)(const Task& task, std::size_t begin, std::size_t end);

void split(Pool pool, const Task& task, std::size_t num_images, const Run& run) {
  const std::size_t work = task.num_columns * task.channels * task.window + 1;
  const std::size_t least = std::max<std::size_t>(kNumbersPerThread / work, 1);
  parallel_ranges(num_images * task.num_rows, {1, least}, run.num_threads,
                  [&](std::size_t begin, std::size_t end) { pool(task, begin, end); });
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void max(const Task& task, std::size_t num_images, const Run& run) {
  split(choose(table(), run.variant).max, task, num_images, run);
}

void sum(const Task& task, std::size_t num_images, const Run& run) {
  split(choose(table(), run.variant).sum, task, num_images, run);
}

}  // namespace quantlab::pool
