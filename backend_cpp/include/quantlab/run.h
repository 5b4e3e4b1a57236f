#pragma once

#include <string_view>

namespace quantlab {

// How a call runs.
struct Run {
  std::string_view variant;  // the row of the kernel's table; "": the best within the active set
  int num_threads;           // 0: as many as torch uses
};

}  // namespace quantlab
