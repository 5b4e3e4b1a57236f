/* What is made of a layer's sums while they are at hand. */
#ifndef QL_MADE_H
#define QL_MADE_H

#include "rows.h"
#include "sizes.h"

typedef struct ql_make ql_make;

/* Of the places of an image, `columns` a row, `channels` numbers each, the largest number of each
   window: windows do not overlap. function: pools a row. */
typedef struct {
  void (*function)(const ql_make* one, size_t start, size_t first, const int32_t* row, size_t count,
                   void* to);
  uint16_t columns, channels;
  uint16_t result_rows, result_columns;
  uint16_t kernel_rows, kernel_columns;
  uint16_t stride_rows, stride_columns;
} ql_pooling;

/* source: the row it is made of, 0 for the sums, n for what the n-th before it made. function:
   makes a row. bytes: in its place makes what is stored, where nothing is made of that. pooling: of
   what is made, before it is stored; NULL for none. */
struct ql_make {
  QL_TENSOR_FIELD
  uint8_t source;
  uint8_t type, other_type;
  uint8_t is_taken;
  ql_row_function* function;
  ql_bytes_function* bytes;
  const void* constants;
  const ql_pooling* pooling;
};

/* The places of tensors that a made row takes and gives. other: what is added, NULL for nothing.
   to: where it is stored, NULL where nothing else reads it. */
typedef struct {
  const void* other;
  void* to;
} ql_place;

typedef struct ql_finish ql_finish;

/* What makes all of a row of sums. */
typedef void ql_rows_function(const ql_finish* finish, const int32_t* row, const ql_place* places,
                              size_t start, size_t first, size_t count);

/* What becomes of sums. rows: NULL where only bytes are made, of sums alone. left_out: a bias that
   they lack, and that is part of what is made of them. */
struct ql_finish {
  QL_TENSOR_FIELD
  QL_LEFT_OUT_FIELD
  const ql_make* made;
  ql_rows_function* rows;
  uint8_t num_made;
};

/* In rows of their own. */
ql_rows_function ql_make_rows;

/* Store the sums of channels first, first + 1, ... of the place that begins at `start`, and what is
   made of them. sums: where they are stored, NULL where nothing reads them. Places come from the
   first to the last, but for calls that go backward. */
void ql_finish_row(const ql_finish* finish, const int32_t* row, int32_t* sums,
                   const ql_place* places, size_t start, size_t first, size_t count);

/* Where a place belongs in a pooled image. */
typedef enum { QL_NOWHERE, QL_FIRST_OF_WINDOW, QL_IN_WINDOW } ql_part;

/* Of the place that begins at `start`; *pooled: where that of its window begins. */
ql_part ql_find_pooled(const ql_pooling* pooling, size_t start, size_t* pooled);

/* Make bytes of a row of sums, and pool them. */
void ql_pool_bytes(const ql_make* one, size_t start, size_t first, const int32_t* row, size_t count,
                   void* to);
/* Pool a row that is made. */
void ql_pool_row(const ql_make* one, size_t start, size_t first, const int32_t* row, size_t count,
                 void* to);

#endif
