#include "product.h"

typedef int16_t ql_integer;
#define QL_NAME ql_places_s16
#define QL_TYPE QL_S16
#define QL_ONLY_PLACES
#include "product.inc"
