/* Where a model may stop: at scores whose largest is far enough above all others. */
#ifndef QL_EXITS_H
#define QL_EXITS_H

#include "ql.h"

/* Copy scores to where `to` points, at any address, and the number of their exit to `left`. */
void ql_give(const int32_t* scores, uint16_t count, void* to, void* left, uint8_t number);

/* Do that and return 1, if the largest of two or more scores is at least `margin` above all others;
   else return 0. */
int ql_leave(const int32_t* scores, uint16_t count, uint32_t margin, void* to, void* left,
             uint8_t number);

#endif
