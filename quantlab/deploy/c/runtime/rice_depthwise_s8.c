#include <stddef.h>
#include <stdint.h>

typedef int8_t ql_integer;
#define QL_NAME ql_rice_depthwise_s8
#define QL_DEPTHWISE ql_depthwise_s8
#include "rice_depthwise.inc"
