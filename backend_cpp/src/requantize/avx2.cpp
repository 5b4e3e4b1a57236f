#include "quantlab/lanes/avx2.h"

#include "requantize/body.h"

namespace quantlab::requantize {

const Unit avx2 = {&requantize_rows};

}  // namespace quantlab::requantize
