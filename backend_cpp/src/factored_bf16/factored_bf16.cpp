#include "factored_bf16/factored_bf16.h"

#include "quantlab/kernel_table.h"

namespace quantlab::factored_bf16 {
namespace {

const KernelTable<Unit>& table() {
  static const KernelTable<Unit> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAmxBf16, &amx_bf16},
#endif
  };
  return rows;
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

const Unit& unit_of(std::string_view variant) { return choose(table(), variant); }

}  // namespace quantlab::factored_bf16
