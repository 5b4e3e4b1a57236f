#include "pairs.h"
#include "sparse.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_block4_u8
#define QL_TYPE QL_U8
#ifdef QL_PAIRS
#define QL_EVEN ql_even_unsigned
#define QL_ODD ql_odd_unsigned
#endif
#include "sparse_blocks.inc"
