#include "fields.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_field_product_2_u8
#define QL_FIELD_BITS 2
#include "fields.inc"
