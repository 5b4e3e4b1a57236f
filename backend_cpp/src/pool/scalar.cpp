#include "pool/body.h"

namespace quantlab::pool {

const Unit scalar = {&max_over, &sum_over};

}  // namespace quantlab::pool
