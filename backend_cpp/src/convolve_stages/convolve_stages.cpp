#include "convolve_stages/convolve_stages.h"

#include <algorithm>

#include "quantlab/aligned.h"
#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::convolve_stages {
namespace {

const KernelTable<Unit>& table() {
  static const KernelTable<Unit> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2},
      {Isa::kAvx512, &avx512},
      {Isa::kAvx512Vnni, &avx512vnni},
#endif
  };
  return rows;
}

// Of what lies between the stages of some rows: it stays in the second cache.
constexpr std::size_t kMostWords = std::size_t{1} << 17;
constexpr std::size_t kKeptWords = 4 * kMostWords;
constexpr std::size_t kSlackPixels = 8;  // behind what the kernels make
constexpr std::size_t kProductsPerThread = std::size_t{1} << 18;

// Each thread keeps its memory for the next call, unless it is much.
std::int16_t* memory_of(std::size_t num_words, AlignedVector<std::int16_t>& kept) {
  if (kept.size() < num_words) kept.resize(num_words);
  return kept.data();
}

std::size_t divided_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

std::size_t words_read(const Task& task, std::size_t num_rows) {
  if (!task.has_kernels) return 0;
  return num_rows_read(task, num_rows) * task.padded_width * words_entered(task);
}

// Rows of results that are made at once.
std::size_t rows_at_once(const Task& task, std::size_t num_images, int num_threads) {
  const auto threads = static_cast<std::size_t>(num_threads > 0 ? num_threads : max_threads());
  const std::size_t shares = divided_up(threads, num_images);
  std::size_t rows = divided_up(task.num_rows, std::min(shares, task.num_rows));
  while (rows > 1 && words_read(task, rows) > kMostWords) rows = divided_up(rows, 2);
  return rows;
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void convolve(const Task& task, std::size_t num_images, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  if (num_images == 0) return;
  const std::size_t rows = rows_at_once(task, num_images, run.num_threads);
  const std::size_t num_strips = divided_up(task.num_rows, rows);
  const std::size_t read = divided_up(words_read(task, rows), 32) * 32;
  const std::size_t made = (rows * task.num_columns + kSlackPixels) * words_made(task);
  const std::size_t products =
      rows * task.num_columns * words_made(task) * (task.channels + task.num_outputs);
  const std::size_t least = std::max<std::size_t>(kProductsPerThread / (products + 1), 1);
  parallel_items(num_images * num_strips, least, run.num_threads, [&](std::size_t item) {
    thread_local AlignedVector<std::int16_t> kept;
    std::int16_t* const u = memory_of(read + made, kept);
    const std::size_t begin = item % num_strips * rows;
    unit.convolve(task, item / num_strips, begin, std::min(begin + rows, task.num_rows), u,
                  u + read);
    if (kept.size() > kKeptWords) AlignedVector<std::int16_t>().swap(kept);
  });
}

}  // namespace quantlab::convolve_stages
