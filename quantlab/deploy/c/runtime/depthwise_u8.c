#include "product.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_depthwise_u8
#include "depthwise.inc"
