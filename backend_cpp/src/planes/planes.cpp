#include "planes/planes.h"

#include <algorithm>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::planes {
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

constexpr std::size_t kNumbersPerThread = std::size_t{1} << 15;

template <class Number>
void clear_gaps(const Task<Number>& task, Number* planes, std::size_t channel) {
  Number* from = planes + channel * task.step * task.batch;
  for (std::size_t gap = 0; gap < task.num_gaps; ++gap) {
    std::fill(from + static_cast<std::size_t>(task.gaps[2 * gap]) * task.batch,
              from + static_cast<std::size_t>(task.gaps[2 * gap + 1]) * task.batch, Number{0});
  }
}

Split split_of(std::size_t multiple, std::size_t batch) {
  const std::size_t least = kNumbersPerThread / (batch + 1) + 1;
  return {multiple, (least + multiple - 1) / multiple * multiple};
}

template <class Number>
void lay_out_with(const Unit<Number>& unit, const Task<Number>& task, const Number* samples,
                  Number* planes, const Run& run) {
  if (task.size == 0 || task.batch == 0) return;
  // A channel's gaps belong to the thread that has its first number.
  parallel_ranges(task.size, split_of(unit.multiple, task.batch), run.num_threads,
                  [&](std::size_t begin, std::size_t end) {
                    std::size_t channel = (begin + task.channel - 1) / task.channel;
                    for (; channel * task.channel < end; ++channel) {
                      clear_gaps(task, planes, channel);
                    }
                    unit.lay_out(task, samples, planes, begin, end);
                  });
}

template <class Number>
void collect_with(const Unit<Number>& unit, const Task<Number>& task, const Number* planes,
                  Number* samples, const Run& run) {
  if (task.size == 0 || task.batch == 0) return;
  parallel_ranges(
      task.size, split_of(unit.multiple, task.batch), run.num_threads,
      [&](std::size_t begin, std::size_t end) { unit.collect(task, planes, samples, begin, end); });
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void lay_out(const Task<float>& task, const float* samples, float* planes, const Run& run) {
  lay_out_with(choose(table(), run.variant), task, samples, planes, run);
}

void lay_out(const Task<double>& task, const double* samples, double* planes, const Run& run) {
  lay_out_with(scalar_double, task, samples, planes, run);
}

void collect(const Task<float>& task, const float* planes, float* samples, const Run& run) {
  collect_with(choose(table(), run.variant), task, planes, samples, run);
}

void collect(const Task<double>& task, const double* planes, double* samples, const Run& run) {
  collect_with(scalar_double, task, planes, samples, run);
}

}  // namespace quantlab::planes
