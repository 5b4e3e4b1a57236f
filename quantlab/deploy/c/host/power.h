/* The call of a model whose memory keeps its contents, one block of it: written for each model. */
#ifndef POWER_CALL_H
#define POWER_CALL_H

#include <stddef.h>
#include <stdint.h>

/* The arena, the inputs and the outputs, one behind the other. */
extern const size_t power_arena_size, power_inputs_size, power_outputs_size;

/* Returns the model's code. */
int power_run(uint8_t* memory);

#endif
