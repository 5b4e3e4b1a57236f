#include "quantize_rows/body.h"

namespace quantlab::quantize_rows {

const Unit scalar = unit_of();

}  // namespace quantlab::quantize_rows
