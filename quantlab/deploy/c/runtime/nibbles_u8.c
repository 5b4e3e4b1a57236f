#include "sparse.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_nibbles_u8
#define QL_TYPE QL_U8
#include "sparse_nibbles.inc"
