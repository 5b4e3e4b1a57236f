#include "fields.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_field_product_4_u8
#define QL_FIELD_BITS 4
#include "fields.inc"
