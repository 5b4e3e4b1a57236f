#include "float_layer.h"

typedef uint16_t ql_gap;
#define QL_NAME ql_float_sparse_u16
#include "float_sparse.inc"
