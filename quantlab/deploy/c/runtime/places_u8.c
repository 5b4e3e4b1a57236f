#include "pairs.h"
#include "product.h"

typedef uint8_t ql_integer;
#define QL_NAME ql_places_u8
#define QL_TYPE QL_U8
#ifdef QL_PAIRS
#define QL_EVEN ql_even_unsigned
#define QL_ODD ql_odd_unsigned
#endif
#define QL_ONLY_PLACES
#include "product.inc"
