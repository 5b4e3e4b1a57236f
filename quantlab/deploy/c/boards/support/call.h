/* The call of a model, and the memory that it takes: written for each model. */
#ifndef CALL_H
#define CALL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint8_t* at;
  size_t size;
} call_memory;

extern const call_memory call_inputs[], call_outputs[];
extern const size_t call_num_inputs, call_num_outputs;

/* Returns the model's code. */
int call_model(void);

#endif
