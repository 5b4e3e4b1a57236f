#include "quantlab/lanes/scalar.h"

#include "requantize/body.h"

namespace quantlab::requantize {

const Unit scalar = {&requantize_rows};

}  // namespace quantlab::requantize
