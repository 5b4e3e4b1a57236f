#include "popcount/popcount.h"

#include <algorithm>

#include "popcount/unit.h"
#include "quantlab/kernel_table.h"
#include "quantlab/parallel.h"

namespace quantlab::popcount {
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

constexpr std::size_t kWordsPerThread = std::size_t{1} << 15;

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void popcount(MatrixView<const std::uint64_t> words, View<std::int64_t> counts, const Run& run) {
  const Unit& unit = choose(table(), run.variant);
  const std::size_t width = words.num_columns;
  const Split split{1, std::max<std::size_t>(kWordsPerThread / std::max<std::size_t>(width, 1), 1)};
  parallel_ranges(words.num_rows, split, run.num_threads, [&](std::size_t begin, std::size_t end) {
    unit.popcount({words.data + begin * width, end - begin, width}, counts.data + begin);
  });
}

}  // namespace quantlab::popcount
