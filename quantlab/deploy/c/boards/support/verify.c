/* Runs a model on all samples of a file, and writes its outputs and every tensor to others. */
#include "board.h"
#include "call.h"
#include "trace.h"

int main(void) {
  const board_file inputs = board_open_to_read("inputs");
  const board_file outputs = board_open_to_write("outputs");
  uint32_t num_samples;
  board_paint_stack();
  trace_open("tensors");
  board_read(inputs, &num_samples, sizeof num_samples);
  for (uint32_t sample = 0; sample < num_samples; sample++) {
    trace_sample(sample);
    for (size_t i = 0; i < call_num_inputs; i++)
      board_read(inputs, call_inputs[i].at, call_inputs[i].size);
    const int code = call_model();
    if (code != 0) board_exit(BOARD_MODEL + (uint32_t)code);
    for (size_t i = 0; i < call_num_outputs; i++)
      board_write(outputs, call_outputs[i].at, call_outputs[i].size);
  }
  board_painted_over(board_stack_pointer());
  trace_close();
  return 0;
}
