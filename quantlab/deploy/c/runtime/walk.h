/* Steps that go through a tensor number by number, in the order in which it lies in memory. */
#ifndef QL_WALK_H
#define QL_WALK_H

#include "rows.h"

enum { QL_AXES = 6, QL_CONSTANT_ARRAYS = 4 };

/* Where a tensor's numbers lie: those of place (i, j, ...) at start + i * step[0] + ... */
typedef struct {
  uint32_t start;
  uint32_t step[QL_AXES];
} ql_steps;

/* What the arrays of constants are that move with the place. */
typedef enum { QL_FIXED, QL_RESCALING, QL_COUNTING } ql_moving;

/* to: of the result, whose last step is 1. function: NULL copies. constants: of the function; their
   arrays move by `arrays`, in the order of their fields. */
typedef struct {
  uint16_t size[QL_AXES];
  uint8_t type, x_type, other_type;
  uint8_t moving;
  ql_steps to, x, other;
  ql_steps arrays[QL_CONSTANT_ARRAYS];
  ql_row_function* function;
  const void* constants;
} ql_walk;

void ql_walk_rows(const ql_walk* walk, const void* x, const void* other, void* to);

/* Which is the largest of `count` numbers that lie `step` apart: to[place] for each place. */
typedef struct {
  uint16_t size[QL_AXES];
  uint8_t x_type;
  ql_steps x;
  uint16_t count;
  uint32_t step;
} ql_argmax;

void ql_argmax_all(const ql_argmax* argmax, const void* x, int32_t* to);

#endif
