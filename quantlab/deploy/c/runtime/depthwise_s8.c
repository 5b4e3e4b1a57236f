#include "product.h"

typedef int8_t ql_integer;
#define QL_NAME ql_depthwise_s8
#include "depthwise.inc"
