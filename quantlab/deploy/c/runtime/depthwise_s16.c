#include "product.h"
#include "vectors.h"

typedef int16_t ql_integer;
#define QL_NAME ql_depthwise_s16
#define QL_TYPE QL_S16
#define QL_EIGHT ql_eight_wide
#define QL_SOME ql_some_wide
#include "depthwise.inc"
