#include "quantize_rows/quantize_rows.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::quantize_rows {
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
constexpr std::size_t kAhead = 512;

float number_of(std::uint32_t bits) {
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

// A row's values one after another, in `kept` if they do not lie so. Most are near to those of the
// rows before, but for the others the processor looks too few ahead by itself.
const float* gathered(const Task& task, std::size_t begin, std::size_t count, float* kept) {
  if (task.order == nullptr) return task.values + begin;
  const std::int32_t* order = task.order + begin;
  const auto left = static_cast<std::size_t>(task.starts.data[task.starts.size - 1]) - begin;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < left) __builtin_prefetch(task.values + order[i + kAhead]);
    kept[i] = task.values[order[i]];
  }
  return kept;
}

// `kept` is memory for the values of a row.
void quantize_row(const Unit& unit, const Task& task, std::size_t row, std::vector<float>& kept) {
  const auto begin = static_cast<std::size_t>(task.starts.data[row]);
  const std::size_t count = static_cast<std::size_t>(task.starts.data[row + 1]) - begin;
  if (kept.size() < count) kept.resize(count);
  const float* values = gathered(task, begin, count, kept.data());
  const float scale = number_of(unit.absmax_bits(values, count)) / 127;
  task.scales[row] = scale == 0 ? 1 : scale;
  std::int8_t* codes = task.codes + task.codes_starts[row];
  std::int8_t* end = task.codes + task.codes_starts[row + 1];
  if (std::isfinite(scale)) {
    unit.quantize(values, count, task.scales[row], codes);
    codes += count;
  }
  std::fill(codes, end, std::int8_t{0});
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

float absmax(View<const float> numbers, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  std::atomic<std::uint32_t> largest{0};
  parallel_ranges(numbers.size, {16, kNumbersPerThread}, run.num_threads,
                  [&](std::size_t begin, std::size_t end) {
                    const std::uint32_t bits = unit.absmax_bits(numbers.data + begin, end - begin);
                    std::uint32_t before = largest.load();
                    while (before < bits && !largest.compare_exchange_weak(before, bits)) {
                    }
                  });
  return number_of(largest.load());
}

void quantize(const Task& task, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  const std::size_t num_rows = task.starts.size - 1;
  const auto values = static_cast<std::size_t>(task.starts.data[num_rows]);
  const std::size_t least = kNumbersPerThread / (values / (num_rows + 1) + 1) + 1;
  parallel_ranges(num_rows, {1, least}, run.num_threads, [&](std::size_t begin, std::size_t end) {
    std::vector<float> kept;
    for (std::size_t row = begin; row < end; ++row) quantize_row(unit, task, row, kept);
  });
}

}  // namespace quantlab::quantize_rows
