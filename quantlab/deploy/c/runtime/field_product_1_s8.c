#include "fields.h"

typedef int8_t ql_integer;
#define QL_NAME ql_field_product_1_s8
#define QL_FIELD_BITS 1
#include "fields.inc"
