/* Row functions over numbers that lie in steps along several axes, and in any order. */
#ifndef QL_FLOAT_WALK_H
#define QL_FLOAT_WALK_H

#include "floats.h"

enum { QL_FLOAT_AXES = 6 };

/* Steps of each axis, the outermost first, from a start, in numbers. */
typedef struct {
  size_t start;
  size_t step[QL_FLOAT_AXES];
} ql_float_steps;

typedef struct {
  size_t size[QL_FLOAT_AXES];
  ql_float_steps to, x, other;
  ql_float_row* function;
  const float* constants;
} ql_float_walk;

void ql_float_run_walk(const ql_float_walk* walk, const float* x, const float* other, float* to);

/* to[to_places[i]] = x[x_places[i]]. */
void ql_float_move(const uint32_t* x_places, const float* x, const uint32_t* to_places, float* to,
                   size_t count);

/* to[i] = number. */
void ql_float_fill(float* to, float number, size_t count);

#endif
