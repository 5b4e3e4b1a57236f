/* RISC-V: start, semihosting, and the counter of instructions as the clock. */
#include "board.h"

extern uint8_t data_begin[], data_end[], data_in_flash[], bss_begin[], bss_end[];
int main(void);

void board_reset(void) __attribute__((noreturn));

/* A fault goes on at mtvec, where there may be no stack left. */
__attribute__((naked, used, section(".vectors"))) static void start(void) {
  __asm__ volatile(
      ".option arch, +zicsr\n"
      "la sp, stack_top\n"
      "la t0, 1f\n"
      "csrw mtvec, t0\n"
      "j board_reset\n"
      ".balign 4\n"
      "1: la sp, stack_top\n"
      "li a0, %0\n"
      "j board_exit\n" ::"i"(BOARD_FAULT));
}

void board_reset(void) {
  const uint8_t* from = data_in_flash;
  for (uint8_t* to = data_begin; to < data_end; to++) *to = *from++;
  for (uint8_t* to = bss_begin; to < bss_end; to++) *to = 0;
  main();
  board_exit(BOARD_DONE);
}

/* The emulator knows the call by the two instructions around ebreak, none of them compressed, all
   in one page. */
__attribute__((naked, noinline, aligned(16))) uint32_t board_semihosting(uint32_t operation,
                                                                         const void* arguments) {
  (void)operation;
  (void)arguments;
  __asm__ volatile(
      ".option push\n"
      ".option norvc\n"
      "slli x0, x0, 0x1f\n"
      "ebreak\n"
      "srai x0, x0, 7\n"
      ".option pop\n"
      "ret");
}

__attribute__((naked, noinline)) uint8_t* board_stack_pointer(void) {
  __asm__ volatile("mv a0, sp\n ret");
}

void board_start_clock(void) {}

uint64_t board_ticks(void) {
  uint32_t high, low, again;
  do {
    __asm__ volatile(
        ".option arch, +zicsr\n"
        "csrr %0, minstreth\n"
        "csrr %1, minstret\n"
        "csrr %2, minstreth\n"
        : "=r"(high), "=r"(low), "=r"(again));
  } while (high != again);
  return (uint64_t)high << 32 | low;
}
