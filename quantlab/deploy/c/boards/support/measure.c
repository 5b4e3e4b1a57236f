/* Runs a model twice: measures its stack, then counts its ticks. */
#include "board.h"
#include "call.h"

static void check(int code) {
  if (code != 0) board_exit(BOARD_MODEL + (uint32_t)code);
}

static uint32_t stack_of_model(void) {
  const uint8_t* const end = board_stack_pointer();
  board_paint_stack();
  check(call_model());
  return board_painted_over(end);
}

static uint64_t ticks_of_model(void) {
  const uint64_t begin = board_ticks();
  check(call_model());
  return board_ticks() - begin;
}

/* Bytes of which the same seed makes the same ones: G. Marsaglia, "Xorshift RNGs", 2003. */
static void fill_inputs(void) {
  uint32_t seed = UINT32_C(2463534242);
  for (size_t i = 0; i < call_num_inputs; i++) {
    for (size_t byte = 0; byte < call_inputs[i].size; byte++) {
      seed ^= seed << 13;
      seed ^= seed >> 17;
      seed ^= seed << 5;
      call_inputs[i].at[byte] = (uint8_t)(seed >> 24);
    }
  }
}

int main(void) {
  fill_inputs();
  const uint32_t stack = stack_of_model();
  board_start_clock();
  const uint64_t ticks = ticks_of_model();
  const board_file measured = board_open_to_write("measured");
  board_write(measured, &ticks, sizeof ticks);
  board_write(measured, &stack, sizeof stack);
  return 0;
}
