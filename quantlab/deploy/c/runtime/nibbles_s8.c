#include "sparse.h"

typedef int8_t ql_integer;
#define QL_NAME ql_nibbles_s8
#define QL_TYPE QL_S8
#include "sparse_nibbles.inc"
