/* What a program uses of its stack: it is painted before, and looked at afterwards. */
#include "board.h"

enum { PAINT = 0xA5 };

extern uint8_t stack_bottom[];

void board_paint_stack(void) {
  uint8_t* const end = board_stack_pointer();
  for (volatile uint8_t* at = stack_bottom; at < end; at++) *at = PAINT;
}

uint32_t board_painted_over(const uint8_t* end) {
  const volatile uint8_t* lowest = stack_bottom;
  while (lowest < end && *lowest == PAINT) lowest++;
  if (lowest == stack_bottom) board_exit(BOARD_FAULT);
  return (uint32_t)(end - lowest);
}
