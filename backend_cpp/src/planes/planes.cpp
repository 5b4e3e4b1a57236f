#include "planes/planes.h"

#include "planes/gaps.h"
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

const KernelTable<Unit<float, Half>>& half_table() {
  static const KernelTable<Unit<float, Half>> rows{
      {Isa::kScalar, &scalar_half},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2_half},
      {Isa::kAvx512, &avx512_half},
#endif
  };
  return rows;
}

template <class Number, class InPlane>
void lay_out_with(const Unit<Number, InPlane>& unit, const Task<Number>& task,
                  const Number* samples, InPlane* planes, const Run& run) {
  if (task.size == 0 || task.batch == 0) return;
  // A channel's gaps belong to the thread that has its first number.
  parallel_ranges(task.size, split_of(unit.multiple, task.batch), run.num_threads,
                  [&](std::size_t begin, std::size_t end) {
                    fill_gaps(task, planes, InPlane{0}, begin, end);
                    unit.lay_out(task, samples, planes, begin, end);
                  });
}

template <class Number, class InPlane>
void collect_with(const Unit<Number, InPlane>& unit, const Task<Number>& task,
                  const InPlane* planes, Number* samples, const Run& run) {
  if (task.size == 0 || task.batch == 0) return;
  parallel_ranges(
      task.size, split_of(unit.multiple, task.batch), run.num_threads,
      [&](std::size_t begin, std::size_t end) { unit.collect(task, planes, samples, begin, end); });
}

template <class InPlane>
void decode_with(const Unit<float, InPlane>& unit, const Task<float>& task,
                 const std::uint8_t* codes, float start, InPlane* planes, const Run& run) {
  if (task.size == 0 || task.batch == 0) return;
  parallel_ranges(task.size, split_of(1, task.batch), run.num_threads,
                  [&](std::size_t begin, std::size_t end) {
                    fill_gaps(task, planes, InPlane{0}, begin, end);
                    unit.decode(task, codes, start, planes, begin, end);
                  });
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

std::vector<Isa> half_variants() { return runnable(half_table()); }

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

void lay_out(const Task<float>& task, const float* samples, Half* planes, const Run& run) {
  lay_out_with(choose(half_table(), run.variant), task, samples, planes, run);
}

void collect(const Task<float>& task, const Half* planes, float* samples, const Run& run) {
  collect_with(choose(half_table(), run.variant), task, planes, samples, run);
}

void decode(const Task<float>& task, const std::uint8_t* codes, float start, float* planes,
            const Run& run) {
  decode_with(choose(table(), run.variant), task, codes, start, planes, run);
}

void decode(const Task<float>& task, const std::uint8_t* codes, float start, Half* planes,
            const Run& run) {
  decode_with(choose(half_table(), run.variant), task, codes, start, planes, run);
}

}  // namespace quantlab::planes
