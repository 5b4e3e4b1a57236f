#pragma once

#include <string_view>
#include <vector>

#include "factored_bf16/unit.h"
#include "quantlab/isa.h"

namespace quantlab::factored_bf16 {

// The rows of the table that run here.
std::vector<Isa> variants();

const Unit& unit_of(std::string_view variant);

}  // namespace quantlab::factored_bf16
