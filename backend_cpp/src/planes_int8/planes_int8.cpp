#include "planes_int8/planes_int8.h"

#include "planes/gaps.h"
#include "quantlab/kernel_table.h"

namespace quantlab::planes_int8 {
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

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

void lay_out(const Layout& layout, Rounding rounding, const float* samples, std::uint8_t* planes,
             const Run& run) {
  if (layout.size == 0 || layout.batch == 0) return;
  rounding.is_stochastic = rounding.is_stochastic && kHasStochasticRounding;
  const Unit& unit = choose(table(), run.variant);
  parallel_ranges(layout.size, planes::split_of(unit.multiple, layout.batch), run.num_threads,
                  [&](std::size_t begin, std::size_t end) {
                    planes::fill_gaps(layout, planes, std::uint8_t{128}, begin, end);
                    unit.lay_out(layout, rounding, samples, planes, begin, end);
                  });
}

}  // namespace quantlab::planes_int8
