#include "tile_pool.h"

void ql_tile_sum_pool(const ql_pool* pool, const void* x, int32_t* sums, const ql_place* places,
                      uint8_t size, uint16_t number, uint16_t count) {
  const size_t first = (size_t)number * count;
  const size_t start = first * pool->result_columns * pool->channels;
  const ql_tile tile = {{NULL, NULL}, &pool->finish, places, sums, start, 0, 0, 0, 0, 0};
  ql_pool rows = *pool;
  const size_t skipped = ql_begin_pool(&rows, first, count);
  ql_let_tile_finish(&rows.finish);
  ql_sum_pool(&rows, (const uint8_t*)x + skipped * pool->columns * pool->channels * size, NULL,
              &tile.as_place);
}
