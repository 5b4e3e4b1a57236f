#include "rows.h"

typedef int16_t ql_level;
#define QL_NAME ql_threshold_s16_bytes
#include "threshold_bytes.inc"
