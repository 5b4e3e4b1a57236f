#include "float_layer.h"

typedef uint8_t ql_gap;
#define QL_NAME ql_float_sparse_u8
#include "float_sparse.inc"
