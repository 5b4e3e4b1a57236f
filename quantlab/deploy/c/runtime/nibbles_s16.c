#include "sparse.h"

typedef int16_t ql_integer;
#define QL_NAME ql_nibbles_s16
#define QL_TYPE QL_S16
#include "sparse_nibbles.inc"
