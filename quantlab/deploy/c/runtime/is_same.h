/* Whether an output is the one expected. */
#ifndef QL_IS_SAME_H
#define QL_IS_SAME_H

#include "ql.h"

/* Returns 1 if `size` bytes are the same, else 0. */
int ql_is_same(const void* one, const void* other, size_t size);

#endif
