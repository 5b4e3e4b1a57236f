#include "pool/body.h"

namespace quantlab::pool {

const Unit avx2 = {&max_over, &sum_over};

}  // namespace quantlab::pool
