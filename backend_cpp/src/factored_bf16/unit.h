// What one instruction set brings to products of numbers of 16 bits: the units of `factored`, whose
// `multiply` rounds both factors to bfloat16 and adds up in float32. All else is in float32.
#pragma once

#include "factored/unit.h"

namespace quantlab::factored_bf16 {

using factored::Unit;

extern const Unit scalar;
extern const Unit amx_bf16;

}  // namespace quantlab::factored_bf16
