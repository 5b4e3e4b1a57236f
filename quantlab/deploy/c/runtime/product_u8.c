#include "product.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_product_u8
#include "product.inc"
