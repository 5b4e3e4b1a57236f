#include "fields.h"

typedef int8_t ql_integer;
#define QL_NAME ql_field_product_4_s8
#define QL_FIELD_BITS 4
#include "fields.inc"
