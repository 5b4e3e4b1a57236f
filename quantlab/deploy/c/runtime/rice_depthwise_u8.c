#include <stddef.h>
#include <stdint.h>

typedef uint8_t ql_integer;
#define QL_NAME ql_rice_depthwise_u8
#define QL_DEPTHWISE ql_depthwise_u8
#include "rice_depthwise.inc"
