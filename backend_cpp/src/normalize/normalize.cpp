#include "normalize/normalize.h"

#include <algorithm>
#include <cmath>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::normalize {
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

std::size_t least_channels(std::size_t count) {
  return std::max<std::size_t>(kNumbersPerThread / (count + 1), 1);
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void forward(const Forward& task, float eps, std::size_t num_channels, const Run& run) {
  if (task.count == 0) return;
  const Unit& unit = choose(table(), run.variant);
  parallel_items(num_channels, least_channels(task.count), run.num_threads,
                 [&](std::size_t channel) {
                   unit.moments(task, channel);
                   task.kept.factor[channel] = 1.0f / std::sqrt(task.variance[channel] + eps);
                   unit.forward(task, channel);
                 });
}

void backward(const Backward& task, std::size_t num_channels, const Run& run) {
  if (task.count == 0) return;
  const Unit& unit = choose(table(), run.variant);
  parallel_items(num_channels, least_channels(task.count), run.num_threads,
                 [&](std::size_t channel) { unit.backward(task, channel); });
}

void encode(const float* x, std::size_t count, float start, float step, std::uint8_t* codes,
            const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  parallel_ranges(count, {64, kNumbersPerThread}, run.num_threads,
                  [&](std::size_t begin, std::size_t end) {
                    unit.encode(x + begin, end - begin, start, step, codes + begin);
                  });
}

}  // namespace quantlab::normalize
