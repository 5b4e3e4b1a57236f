#include "fields.h"

typedef int8_t ql_integer;
#define QL_NAME ql_field_product_2_s8
#define QL_FIELD_BITS 2
#include "fields.inc"
