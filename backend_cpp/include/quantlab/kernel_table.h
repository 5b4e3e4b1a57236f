// A kernel's table: one row for each instruction set it is written for, in the order of `Isa`.
// Dispatch, tests and benchmarks all read it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "quantlab/error.h"
#include "quantlab/isa.h"

namespace quantlab {

template <class Unit>
struct Variant {
  Isa isa;
  const Unit* unit;
};

template <class Unit>
using KernelTable = std::vector<Variant<Unit>>;

// The instruction sets of the rows that this processor can run.
template <class Unit>
std::vector<Isa> runnable(const KernelTable<Unit>& table) {
  std::vector<Isa> isas;
  for (const Variant<Unit>& variant : table) {
    if (variant.isa <= supported_isas().back()) isas.push_back(variant.isa);
  }
  return isas;
}

// The row called `variant_name`; with an empty name the last row within the active set.
// Raises UsageError, naming the runnable rows.
template <class Unit>
const Unit& choose(const KernelTable<Unit>& table, std::string_view variant_name) {
  const Unit* chosen = nullptr;
  for (const Variant<Unit>& variant : table) {
    const bool fits = variant_name.empty() ? variant.isa <= active_isa()
                                           : name(variant.isa) == variant_name &&
                                                 variant.isa <= supported_isas().back();
    if (fits) chosen = variant.unit;
  }
  if (chosen == nullptr) {
    throw UsageError("variant: '" + std::string(variant_name) +
                     "' does not run here; allowed are " + listed(runnable(table)));
  }
  return *chosen;
}

}  // namespace quantlab
