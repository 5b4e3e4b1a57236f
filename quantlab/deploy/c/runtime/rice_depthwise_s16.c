#include <stddef.h>
#include <stdint.h>

typedef int16_t ql_integer;
#define QL_NAME ql_rice_depthwise_s16
#define QL_DEPTHWISE ql_depthwise_s16
#include "rice_depthwise.inc"
