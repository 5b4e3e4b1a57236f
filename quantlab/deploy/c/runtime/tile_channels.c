#include "tile_channels.h"

#include <string.h>

/* Copy some channels of each place. */
static void take_channels(const ql_pool* pool, const uint8_t* x, size_t place, size_t first,
                          size_t length, uint8_t* patch) {
  x += first;
  for (size_t i = (size_t)pool->rows * pool->columns; i > 0; i--, x += place, patch += length)
    memcpy(patch, x, length);
}

void ql_tile_channels(const ql_pool* pool, const void* x, int32_t* sums, const ql_place* places,
                      void* patch, uint8_t size, uint16_t number, uint16_t count) {
  const size_t first = (size_t)number * count, rest = pool->channels - first;
  const uint16_t own = (uint16_t)(rest < count ? rest : count);
  const uint16_t columns = pool->result_columns;
  const ql_tile tile = {{NULL, NULL}, &pool->finish, places,         sums,    0,
                        first,        columns,       pool->channels, columns, own};
  ql_pool part = *pool;
  part.channels = own;
  take_channels(pool, x, (size_t)pool->channels * size, first * size, (size_t)own * size, patch);
  ql_let_tile_finish(&part.finish);
  ql_sum_pool(&part, patch, NULL, &tile.as_place);
}
