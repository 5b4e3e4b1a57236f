/* Cortex-M: vectors, start, semihosting, and SysTick as the clock. */
#include "board.h"

extern uint8_t stack_top[], data_begin[], data_end[], data_in_flash[], bss_begin[], bss_end[];
int main(void);

void board_reset(void);
void board_fault(void);
static void count_round(void);

/* The stack pointer, then the handlers by their numbers from 1 on: reset, faults, ... SysTick. */
static const struct {
  const void* stack;
  void (*handlers[15])(void);
} vectors __attribute__((section(".vectors"), used)) = {
    stack_top,
    {board_reset, board_fault, board_fault, board_fault, board_fault, board_fault, board_fault,
     board_fault, board_fault, board_fault, board_fault, board_fault, board_fault, board_fault,
     count_round}};

void board_reset(void) {
  const uint8_t* from = data_in_flash;
  for (uint8_t* to = data_begin; to < data_end; to++) *to = *from++;
  for (uint8_t* to = bss_begin; to < bss_end; to++) *to = 0;
#if defined(__ARM_FEATURE_MVE) || defined(__ARM_FP)
  /* The registers of vectors and floating point: CPACR, coprocessors 10 and 11. */
  *(volatile uint32_t*)0xE000ED88 |= UINT32_C(0xF) << 20;
  __asm__ volatile("dsb\n isb" ::: "memory");
#endif
  main();
  board_exit(BOARD_DONE);
}

/* There may be no stack left. */
__attribute__((naked)) void board_fault(void) {
  __asm__ volatile(
      "ldr r0, =stack_top\n"
      "mov sp, r0\n"
      "movs r0, %0\n"
      "bl board_exit\n"
      ".ltorg\n" ::"i"(BOARD_FAULT));
}

__attribute__((naked, noinline)) uint32_t board_semihosting(uint32_t operation,
                                                            const void* arguments) {
  (void)operation;
  (void)arguments;
  __asm__ volatile("bkpt 0xAB\n bx lr");
}

__attribute__((naked, noinline)) uint8_t* board_stack_pointer(void) {
  __asm__ volatile("mov r0, sp\n bx lr");
}

typedef struct {
  volatile uint32_t control, reload, value;
} systick;

#define SYSTICK ((systick*)0xE000E010)

enum { ROUND = 1 << 24, ENABLE = 1, INTERRUPT = 2, PROCESSOR_CLOCK = 4 };

static volatile uint32_t num_rounds;

static void count_round(void) { num_rounds++; }

void board_start_clock(void) {
  num_rounds = 0;
  SYSTICK->reload = ROUND - 1;
  SYSTICK->value = 0;
  SYSTICK->control = ENABLE | INTERRUPT | PROCESSOR_CLOCK;
  /* It reads 0 until its first tick. */
  while (SYSTICK->value == 0) {
  }
}

uint64_t board_ticks(void) {
  uint32_t rounds, value;
  do {
    rounds = num_rounds;
    value = SYSTICK->value;
  } while (rounds != num_rounds);
  return (uint64_t)rounds * ROUND + (ROUND - 1 - value);
}
