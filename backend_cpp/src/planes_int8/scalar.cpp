#include "planes_int8/body.h"

namespace quantlab::planes_int8 {

const Unit scalar = unit_of<Code>();

}  // namespace quantlab::planes_int8
