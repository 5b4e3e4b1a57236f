#include "small.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_small_sums_u8
#include "small_sums.inc"
