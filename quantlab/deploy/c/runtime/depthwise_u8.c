#include "pairs.h"
#include "product.h"
#include "vectors.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_depthwise_u8
#define QL_TYPE QL_U8
#define QL_TAKE_EVEN QL_TAKE_EVEN_UNSIGNED
#define QL_EIGHT ql_eight_unsigned
#define QL_SOME ql_some_unsigned
#include "depthwise.inc"
