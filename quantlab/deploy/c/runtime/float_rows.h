/* What is made of rows of floats that lie one after the other. */
#ifndef QL_FLOAT_ROWS_H
#define QL_FLOAT_ROWS_H

#include "floats.h"

/* `rows` rows of `count` numbers each; to may be x. */
void ql_float_softmax(const float* x, float* to, size_t rows, size_t count);
void ql_float_log_softmax(const float* x, float* to, size_t rows, size_t count);
/* One number of each row: its largest, or its sum divided by `divisor`. */
void ql_float_largest(const float* x, float* to, size_t rows, size_t count);
void ql_float_sum(const float* x, float* to, size_t rows, size_t count, float divisor);

#endif
