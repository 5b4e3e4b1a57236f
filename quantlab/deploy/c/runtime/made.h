/* What is made of a layer's sums while they are at hand. */
#ifndef QL_MADE_H
#define QL_MADE_H

#include "rows.h"
#include "sizes.h"

/* source: the row it is made of, 0 for the sums, n for what the n-th before it made. function:
   makes a row. bytes: in its place makes what is stored, where nothing is made of that. */
typedef struct {
  QL_TENSOR_FIELD
  uint8_t source;
  uint8_t type, other_type;
  uint8_t is_taken;
  ql_row_function* function;
  ql_bytes_function* bytes;
  const void* constants;
} ql_make;

/* The places of tensors that a made row takes and gives. other: what is added, NULL for nothing.
   to: where it is stored, NULL where nothing else reads it. */
typedef struct {
  const void* other;
  void* to;
} ql_place;

/* What becomes of sums. has_rows: whether anything but bytes is made of sums alone. left_out: a
 * bias that they lack, and that is part of what is made of them.
 */
typedef struct {
  QL_TENSOR_FIELD
  QL_LEFT_OUT_FIELD
  const ql_make* made;
  uint8_t num_made;
  uint8_t has_rows;
} ql_finish;

/* Make all of a row of sums, in rows of their own. */
void ql_make_rows(const ql_finish* finish, const int32_t* row, const ql_place* places, size_t start,
                  size_t first, size_t count);

/* Store the sums of channels first, first + 1, ... of the place that begins at `start`, and what is
   made of them. sums: where they are stored, NULL where nothing reads them. */
void ql_finish_row(const ql_finish* finish, const int32_t* row, int32_t* sums,
                   const ql_place* places, size_t start, size_t first, size_t count);

#endif
