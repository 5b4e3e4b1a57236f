#include "tile_walk.h"

#include <string.h>

static size_t size_of(uint8_t type) {
  return type == QL_S32 ? sizeof(int32_t) : type == QL_S16 ? sizeof(int16_t) : sizeof(int8_t);
}

/* The bytes of `count` steps along the first axis. */
static size_t distance(const uint32_t* steps, uint8_t type, size_t count) {
  return count * (size_t)steps[1] * size_of(type);
}

void ql_tile_walk(const ql_walk* walk, const void* x, const void* other, void* to, uint16_t number,
                  uint16_t count) {
  const size_t per_tensor = (size_t)walk->axes + 1, first = (size_t)number * count;
  const size_t rest = walk->size[0] - first;
  uint16_t size[QL_AXES];
  ql_walk part = *walk;
#ifdef QL_TRACE
  /* What is made before is traced as that of a whole walk. */
  if (walk->before != NULL) {
    if (number == 0) ql_walk_rows(walk, x, other, to);
    return;
  }
#endif
  memcpy(size, walk->size, walk->axes * sizeof *size);
  size[0] = (uint16_t)(rest < count ? rest : count);
  part.size = size;
  to = (uint8_t*)to + distance(walk->steps, walk->type, first);
  x = (const uint8_t*)x + distance(walk->steps + per_tensor, walk->x_type, first);
  if (other != NULL)
    other = (const uint8_t*)other + distance(walk->steps + 2 * per_tensor, walk->other_type, first);
  ql_walk_rows(&part, x, other, to);
}
