/* The file that every element of every tensor is written to. */
#ifndef TRACE_H
#define TRACE_H

#include "board.h"

void trace_open(const char* name);
/* What follows is of this sample. */
void trace_sample(uint32_t sample);
void trace_close(void);

#endif
