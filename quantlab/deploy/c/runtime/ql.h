/* What all parts of a generated model share.

   Integers are those of the program that the model was made from, to the bit. Tensors of images lie
   row by row, column by column, the channels of a place together. Shifts of negative numbers to the
   right are arithmetic, as with all compilers for which models are tested; see below. */
#ifndef QL_H
#define QL_H

#include <stddef.h>
#include <stdint.h>

enum { QL_OK = 0, QL_WRONG_SIZE = 1, QL_WRONG_RESULT = 2 };

typedef enum { QL_U8, QL_S8, QL_S16, QL_S32 } ql_type;

typedef char ql_check_shifts_are_arithmetic[((-5) >> 1) == -3 ? 1 : -1];

#if defined(__GNUC__)
#define QL_NOINLINE __attribute__((noinline))
#else
#define QL_NOINLINE
#endif

/* With QL_TRACE whoever runs a model is given every tensor, also those that are never stored. */
#ifdef QL_TRACE
void ql_keep(uint16_t tensor, size_t first, const int32_t* numbers, size_t count);
void ql_keep_tensor(uint16_t tensor, const void* at, ql_type type, size_t count);
#define QL_TENSOR_FIELD uint16_t tensor;
#define QL_LEFT_OUT_FIELD const int32_t* left_out;
#define QL_TENSOR(number) .tensor = (number),
#define QL_LEFT_OUT(bias) .left_out = (bias),
#define QL_KEEP(tensor, first, numbers, count) ql_keep(tensor, first, numbers, count)
#define QL_KEEP_TENSOR(tensor, at, type, count) ql_keep_tensor(tensor, at, type, count)
#else
#define QL_TENSOR_FIELD
#define QL_LEFT_OUT_FIELD
#define QL_TENSOR(number)
#define QL_LEFT_OUT(bias)
#define QL_KEEP(tensor, first, numbers, count) ((void)0)
#define QL_KEEP_TENSOR(tensor, at, type, count) ((void)0)
#endif

#endif
