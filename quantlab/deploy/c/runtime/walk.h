/* Steps that go through a tensor number by number, in the order in which it lies in memory. */
#ifndef QL_WALK_H
#define QL_WALK_H

#include "rows.h"

enum { QL_AXES = 6 };

/* Room for constants whose arrays have been moved. */
typedef union {
  ql_rescale rescale;
  ql_threshold threshold;
} ql_moved;

/* Write the constants of the row at `at` into `moved`, and return them. steps: of their arrays. */
typedef const void* ql_move_function(const void* constants, const uint32_t* steps,
                                     const uint16_t* at, uint8_t axes, ql_moved* moved);

ql_move_function ql_move_rescale, ql_move_threshold;

/* size: of `axes` axes. steps: of the result, of x, of `other` if there is any, and of the arrays
   of constants if these move, in the order of their fields. Each has where it starts and its step
   along each axis: number (i, j, ...) lies at start + i * step[0] + j * step[1] ... Of the result
   the last step is 1. before: makes the row of tensor `tensor` of x and `other`, of which alone the
   rest is made; NULL for nothing. row, bytes: what is made of a row; both NULL copy. move: NULL
   where all rows have the same constants. */
typedef struct {
  QL_TENSOR_FIELD
  const uint16_t* size;
  const uint32_t* steps;
  ql_row_function* before;
  const void* before_constants;
  ql_row_function* row;
  ql_bytes_function* bytes;
  ql_move_function* move;
  const void* constants;
  uint8_t axes;
  uint8_t type, x_type, other_type;
} ql_walk;

/* Where the row of a tensor lies. at: the place along each axis. */
size_t ql_row_place(const uint32_t* steps, const uint16_t* at, uint8_t axes);
/* Go to the next row: the last axis but one counts first. Returns 0 behind the end. */
int ql_next_row(const uint16_t* size, uint16_t* at, uint8_t axes);

void ql_walk_rows(const ql_walk* walk, const void* x, const void* other, void* to);

/* Which is the largest of `count` numbers that lie `step` apart: to[place] for each place. */
typedef struct {
  const uint16_t* size;
  const uint32_t* steps;
  uint8_t axes;
  uint8_t x_type;
  uint16_t count;
  uint32_t step;
} ql_argmax;

void ql_argmax_all(const ql_argmax* argmax, const void* x, int32_t* to);

#endif
