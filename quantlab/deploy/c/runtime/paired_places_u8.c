#include "pairs.h"
#include "product.h"
#include "vectors.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_paired_places_u8
#define QL_TYPE QL_U8
#define QL_SPREAD QL_SPREAD_UNSIGNED
#define QL_EIGHT ql_eight_unsigned
#define QL_SOME ql_some_unsigned
#define QL_ONLY_PLACES
#include "paired.inc"
