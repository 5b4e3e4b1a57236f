#include "power_progress.h"

void ql_reset(void* arena) { QL_WRITE_PROGRESS(arena, 0); }
