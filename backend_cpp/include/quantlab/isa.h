// The instruction sets that kernels are compiled for, and which of them may run here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quantlab {

// Ordered: whoever has a set has all sets before it. A new set is a line here, one in isa.cpp
// (name and test) and one in CMakeLists.txt (flags).
enum class Isa : int {
  kScalar,
  kAvx2,
  kAvx512,
  kAvx512Vnni,
  kAvx512Vpopcntdq,
  kAvx512Fp16,
  kAmxBf16
};

std::string_view name(Isa isa);

// The sets that this processor and operating system support, in order.
const std::vector<Isa>& supported_isas();

// The set that bounds dispatch: the last supported one until `activate` chooses another.
Isa active_isa();

// Raises UsageError, naming those supported, unless `isa_name` is one of them.
void activate(std::string_view isa_name);

// `names` as "a, b, c", for error lines.
std::string listed(const std::vector<Isa>& isas);

}  // namespace quantlab
