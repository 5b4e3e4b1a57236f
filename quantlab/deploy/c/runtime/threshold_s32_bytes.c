#include "rows.h"

typedef int32_t ql_level;
#define QL_NAME ql_threshold_s32_bytes
#include "threshold_bytes.inc"
