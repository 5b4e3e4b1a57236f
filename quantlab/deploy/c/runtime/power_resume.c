#include "power_progress.h"

uint16_t ql_resume(void* arena, uint16_t num_tiles) {
  const uint16_t tile = *(const volatile uint16_t*)arena;
  /* Behind the last tile: the power failed before the end was written. */
  if (tile > num_tiles + UINT32_C(1)) return 0;
  return tile == 0 ? ql_commit(arena, 0) : tile;
}
