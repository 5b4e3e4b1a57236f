#include "sparse_gradient/sparse_gradient.h"

#include <algorithm>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"
#include "quantlab/shares.h"

namespace quantlab::sparse_gradient {
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

constexpr std::size_t kProductsPerThread = std::size_t{1} << 17;
constexpr std::size_t kSharesPerThread = 2;  // each reads all of the outputs' gradients

// Where each plane's connections would end if they followed one another, the first number zero.
template <class Number, class Input>
std::vector<std::int64_t> plane_ends(const Task<Number, Input>& task) {
  std::vector<std::int64_t> ends(task.num_planes + 1, 0);
  for (std::size_t group = 0; group < task.planes.num_groups; ++group) {
    ends[group % task.num_planes + 1] += task.planes.starts[group + 1] - task.planes.starts[group];
  }
  for (std::size_t plane = 0; plane < task.num_planes; ++plane) ends[plane + 1] += ends[plane];
  return ends;
}

template <class Number, class Input>
void go_back_with(const Unit<Number, Input>& unit, const Task<Number, Input>& task,
                  const Run& run) {
  const std::size_t num_planes = task.num_planes;
  std::size_t num_lines = 0;
  std::size_t length = 0;
  for (std::size_t plane = 0; plane < num_planes; ++plane) {
    num_lines = std::max(num_lines, task.places[plane].lines.count);
    length = std::max(length, task.places[plane].lines.length);
  }
  if (num_lines == 0 || length == 0) return;
  const auto connections = static_cast<std::size_t>(task.planes.starts[task.planes.num_groups]);
  const auto threads =
      static_cast<std::size_t>(run.num_threads > 0 ? run.num_threads : max_threads());
  const std::size_t num_shares = threads == 1 ? 1 : threads * kSharesPerThread;
  const std::vector<std::int64_t> ends = plane_ends(task);
  const std::vector<std::size_t> begins = shares_of({ends.data(), nullptr, num_planes}, num_shares);
  const std::size_t products = (connections / num_shares + 1) * num_lines * length;
  const std::size_t least = std::max<std::size_t>(kProductsPerThread / products, 1);
  parallel_items(num_shares, least, run.num_threads, [&](std::size_t share) {
    for (std::size_t line = 0; line < num_lines; ++line) {
      for (std::size_t begin = 0; begin < length; begin += unit.tile) {
        unit.go_back(task, line, begin, begins[share], begins[share + 1]);
      }
    }
  });
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

std::vector<Isa> half_variants() { return runnable(half_table()); }

void go_back(const Task<float>& task, const Run& run) {
  go_back_with(choose(table(), run.variant), task, run);
}

void go_back(const Task<double>& task, const Run& run) { go_back_with(scalar_double, task, run); }

void go_back(const Task<float, Half>& task, const Run& run) {
  go_back_with(choose(half_table(), run.variant), task, run);
}

}  // namespace quantlab::sparse_gradient
