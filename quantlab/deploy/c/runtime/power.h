/* Inference that goes on where the power failed. The arena, the inputs and the outputs lie in
   memory that keeps its contents; the stack need not.

   The work is cut into tiles, which are numbered from 1. An arena begins with its progress: the
   number of the next tile, 0 where no inference is under way. A tile overwrites nothing that it
   reads, but for what it has written itself: done again, it writes the same. */
#ifndef QL_POWER_H
#define QL_POWER_H

#include <stdint.h>

/* What ql_run returns for an arena whose progress no inference of the model has. */
enum { QL_WRONG_PROGRESS = 3 };

#ifdef __cplusplus
extern "C" {
#endif

/* Return whether an inference is under way: whether ql_run goes on with it. Until it is done,
   nothing else may write the arena, the inputs or the outputs. */
int ql_is_under_way(const void* arena);

/* Forget an inference that is under way. An arena that does not begin with zeros needs it once. */
void ql_reset(void* arena);

/* Return the number of the next tile, of an inference that begins here if none is under way; 0 if
   there is no such tile. */
uint16_t ql_resume(void* arena, uint16_t num_tiles);

/* Let the tile behind this one be the next; return its number. */
uint16_t ql_commit(void* arena, uint16_t tile);

#ifdef __cplusplus
}
#endif

#endif
