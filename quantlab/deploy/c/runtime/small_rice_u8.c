#include "small.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_small_rice_u8
#include "small_rice.inc"
