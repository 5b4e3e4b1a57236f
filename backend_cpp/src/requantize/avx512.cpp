#include "quantlab/lanes/avx512.h"

#include "requantize/body.h"

namespace quantlab::requantize {

const Unit avx512 = {&requantize_rows};

}  // namespace quantlab::requantize
