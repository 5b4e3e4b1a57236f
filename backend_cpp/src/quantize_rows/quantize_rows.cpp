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
constexpr std::size_t kVector = 64;   // numbers, of as many codes
constexpr std::int64_t kLine = 16;    // numbers of a cache line
constexpr std::size_t kTaken = 4096;  // values of several rows, near in memory

float number_of(std::uint32_t bits) {
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

// Rows are filled up with zeros to whole vectors of every instruction set: what is left of vectors
// would take longer than they do.
std::size_t filled_up(const Task& task, std::size_t row) {
  const auto count = static_cast<std::size_t>(task.starts.data[row + 1] - task.starts.data[row]);
  return (count + kVector - 1) / kVector * kVector;
}

// Four at a time, so that many loads are on their way. The next row's values are mostly beside
// those of this one, so the cache line behind one of them is needed a few rows later.
void gather(const Task& task, std::size_t begin, std::size_t count, float* to) {
  const float* values = task.values;
  const std::int32_t* order = task.order + begin;
  const std::int64_t last = task.starts.data[task.starts.size - 1] - 1;
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const float four[4] = {values[order[i]], values[order[i + 1]], values[order[i + 2]],
                           values[order[i + 3]]};
    std::memcpy(to + i, four, sizeof four);
    __builtin_prefetch(values + std::min(order[i] + kLine, last), 0, 2);
  }
  for (; i < count; ++i) to[i] = values[order[i]];
}

void take_row(const Task& task, std::size_t row, float* to) {
  const auto begin = static_cast<std::size_t>(task.starts.data[row]);
  const std::size_t count = static_cast<std::size_t>(task.starts.data[row + 1]) - begin;
  if (task.order == nullptr) {
    std::copy_n(task.values + begin, count, to);
  } else {
    gather(task, begin, count, to);
  }
  std::fill(to + count, to + filled_up(task, row), 0.0f);
}

// `filled` is memory for the row's codes.
void quantize_row(const Unit& unit, const Task& task, std::size_t row, const float* values,
                  std::int8_t* filled) {
  const std::size_t count = filled_up(task, row);
  const float scale = number_of(unit.absmax_bits(values, count)) / 127;
  task.scales[row] = scale == 0 ? 1 : scale;
  std::int8_t* codes = task.codes + task.codes_starts[row];
  std::int8_t* end = task.codes + task.codes_starts[row + 1];
  if (!std::isfinite(scale)) return std::fill(codes, end, std::int8_t{0});
  unit.quantize(values, count, task.scales[row], filled);
  std::copy_n(filled, end - codes, codes);
}

// Several rows are taken before they are quantized: what has just been written by parts cannot be
// read by vectors yet.
void quantize_range(const Unit& unit, const Task& task, std::size_t first, std::size_t end) {
  std::vector<float> values;
  std::vector<std::int8_t> codes;
  while (first < end) {
    std::size_t last = first;
    std::size_t size = 0;
    while (last < end && size < kTaken) size += filled_up(task, last++);
    values.resize(std::max(values.size(), size));
    codes.resize(values.size());
    float* to = values.data();
    for (std::size_t row = first; row < last; to += filled_up(task, row++)) take_row(task, row, to);
    const float* from = values.data();
    for (; first < last; from += filled_up(task, first++)) {
      quantize_row(unit, task, first, from, codes.data());
    }
  }
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
    quantize_range(unit, task, begin, end);
  });
}

}  // namespace quantlab::quantize_rows
