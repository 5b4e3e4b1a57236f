#include "quantize_rows/body.h"

namespace quantlab::quantize_rows {

const Unit avx512 = unit_of();

}  // namespace quantlab::quantize_rows
