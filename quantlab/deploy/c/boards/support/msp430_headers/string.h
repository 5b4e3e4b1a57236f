/* What models need of the C library, where there is none. */
#ifndef STRING_H
#define STRING_H

#include <stddef.h>

void* memcpy(void* restrict to, const void* restrict from, size_t size);
void* memset(void* to, int byte, size_t size);

#endif
