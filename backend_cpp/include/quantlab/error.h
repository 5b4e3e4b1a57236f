#pragma once

#include <stdexcept>

namespace quantlab {

// A wrong argument; the bindings turn it into quantlab.errors.UsageError.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace quantlab
