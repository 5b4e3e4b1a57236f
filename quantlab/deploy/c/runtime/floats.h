/* Models of floats: what all their parts share.

   Every operation is rounded to 32 bits by itself, to the nearest, ties to even, so that all
   processors give the same bits: none with more bits in between, no product and sum in one. */
#ifndef QL_FLOATS_H
#define QL_FLOATS_H

#include <float.h>
#include <string.h>

#include "ql.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
/* GCC does not know the pragma of C99; with -std=c99 this is what it does anyhow. */
#pragma GCC optimize("fp-contract=off")
#endif

/* Helium's vectors of floats take denormal numbers for zeros: a loop makes one number at a time. */
#if defined(__ARM_FEATURE_MVE) && defined(__clang__)
#define QL_ONE_BY_ONE _Pragma("clang loop vectorize(disable)")
#elif defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
#pragma GCC optimize("no-tree-vectorize,no-tree-slp-vectorize")
#endif
#ifndef QL_ONE_BY_ONE
#define QL_ONE_BY_ONE
#endif

#ifdef __FAST_MATH__
#error "-ffast-math changes the bits of a model"
#endif

typedef char ql_check_floats_are_evaluated_as_such[FLT_EVAL_METHOD == 0 ? 1 : -1];
typedef char ql_check_floats_have_32_bits[FLT_MANT_DIG == 24 && FLT_MAX_EXP == 128 ? 1 : -1];

/* Products by zero change no sum that begins at +0. They are left out where a library computes
   floats: there a comparison costs a twentieth of a product and a sum. */
#if defined(__SOFTFP__) || defined(__MSP430__) || (defined(__riscv) && !defined(__riscv_flen))
enum { QL_LEAVES_OUT_ZEROS = 1 };
#else
enum { QL_LEAVES_OUT_ZEROS = 0 };
#endif

/* Whether all bits but the sign are 0. */
static inline int ql_is_zero(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits << 1 == 0;
}

/* to[i] of x[i] and, where a function takes two, of other[i], in steps: a step of 0 is one number
   for all. to may be x or other. constants: of the function. */
typedef void ql_float_row(const float* constants, const float* x, size_t x_step, const float* other,
                          size_t other_step, float* to, size_t to_step, size_t count);

ql_float_row ql_float_copy, ql_float_second, ql_float_add, ql_float_subtract, ql_float_multiply,
    ql_float_divide, ql_float_maximum, ql_float_minimum, ql_float_prelu;
/* Between constants[0] and constants[1]; at_least and at_most have one. */
ql_float_row ql_float_clamp, ql_float_at_least, ql_float_at_most;
/* The nearest number of a grid: constants are its scale, and its lowest and highest code. */
ql_float_row ql_float_on_grid;
/* constants[0]: of leaky the slope below zero, of elu its factor; of softplus the factor of x, and
   constants[1] beyond which the function is x. */
ql_float_row ql_float_leaky, ql_float_elu, ql_float_softplus;
ql_float_row ql_float_sigmoid, ql_float_silu, ql_float_tanh, ql_float_hardsigmoid,
    ql_float_hardswish, ql_float_gelu, ql_float_gelu_tanh, ql_float_mish, ql_float_softsign,
    ql_float_absolute, ql_float_exponential;

/* The definition of a row function: `result` is an expression of *x, *other and constants. */
#define QL_FLOAT_ROW(name, result)                                                              \
  void name(const float* constants, const float* x, size_t x_step, const float* other,          \
            size_t other_step, float* to, size_t to_step, size_t count) {                       \
    (void)constants;                                                                            \
    QL_ONE_BY_ONE                                                                               \
    for (; count > 0; count--, x += x_step, other += other_step, to += to_step) *to = (result); \
  }

#endif
