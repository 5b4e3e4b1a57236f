#include "small.h"

typedef int8_t ql_integer;
#define QL_NAME ql_small_sums_s8
#include "small_sums.inc"
