/* How progress is written. */
#ifndef QL_POWER_PROGRESS_H
#define QL_POWER_PROGRESS_H

#include "power.h"

/* Nothing that comes before in the program is written to memory behind this. */
#if defined(__GNUC__)
#define QL_ALL_WRITTEN() __asm__ volatile("" ::: "memory")
#else
#define QL_ALL_WRITTEN() ((void)0)
#endif

/* An aligned store of 16 bits: all of it is written, or nothing. */
#define QL_WRITE_PROGRESS(arena, tile)     \
  do {                                     \
    QL_ALL_WRITTEN();                      \
    *(volatile uint16_t*)(arena) = (tile); \
    QL_ALL_WRITTEN();                      \
  } while (0)

#endif
