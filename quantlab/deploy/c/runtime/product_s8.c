#include "product.h"

typedef int8_t ql_integer;
#define QL_NAME ql_product_s8
#include "product.inc"
