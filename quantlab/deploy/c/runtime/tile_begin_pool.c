#include "tile_pool.h"

size_t ql_begin_pool(ql_pool* pool, size_t row, size_t count) {
  const uint32_t begin = (uint32_t)row * pool->stride_rows;
  const size_t rest = pool->result_rows - row;
  pool->result_rows = (uint16_t)(rest < count ? rest : count);
  if (begin < pool->top) {
    pool->top = (uint16_t)(pool->top - begin);
    return 0;
  }
  uint32_t skipped = begin - pool->top;
  if (skipped > pool->rows) skipped = pool->rows;
  pool->top = 0;
  pool->rows = (uint16_t)(pool->rows - skipped);
  return (size_t)skipped;
}
