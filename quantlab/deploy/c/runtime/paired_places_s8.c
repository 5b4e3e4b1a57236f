#include "pairs.h"
#include "product.h"
#include "vectors.h"

typedef int8_t ql_integer;
#define QL_NAME ql_paired_places_s8
#define QL_TYPE QL_S8
#define QL_SPREAD QL_SPREAD_SIGNED
#define QL_EIGHT ql_eight_signed
#define QL_SOME ql_some_signed
#define QL_ONLY_PLACES
#include "paired.inc"
