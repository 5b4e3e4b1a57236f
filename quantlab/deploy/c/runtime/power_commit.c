#include "power_progress.h"

uint16_t ql_commit(void* arena, uint16_t tile) {
  const uint16_t next = (uint16_t)(tile + 1);
  QL_WRITE_PROGRESS(arena, next);
  return next;
}
