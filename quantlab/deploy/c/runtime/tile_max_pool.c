#include "tile_pool.h"

void ql_tile_max_pool(const ql_pool* pool, const void* x, void* to, uint8_t size, uint16_t number,
                      uint16_t count) {
  const size_t place = (size_t)pool->channels * size, first = (size_t)number * count;
  ql_pool rows = *pool;
  const size_t skipped = ql_begin_pool(&rows, first, count);
  ql_max_pool(&rows, (const uint8_t*)x + skipped * pool->columns * place,
              (uint8_t*)to + first * pool->result_columns * place);
}
