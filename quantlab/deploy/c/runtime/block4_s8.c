#include "pairs.h"
#include "sparse.h"

typedef int8_t ql_integer;
#define QL_NAME ql_block4_s8
#define QL_TYPE QL_S8
#ifdef QL_PAIRS
#define QL_EVEN ql_even_signed
#define QL_ODD ql_odd_signed
#endif
#include "sparse_blocks.inc"
