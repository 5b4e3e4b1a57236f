/* MSP430: start, semihosting by way of a debugger, and what the compiler calls and nothing else
   provides: Texas Instruments, "MSP430 Embedded Application Binary Interface", 6.3. */
#include <string.h>

#include "board.h"

extern uint8_t data_begin[], data_end[], data_in_flash[], bss_begin[], bss_end[];
int main(void);

void board_start(void);
void board_reset(void);
void board_stop(void);

__attribute__((naked)) void board_reset(void) {
  __asm__ volatile("mov #stack_top, r1\n call #board_start");
}

void board_start(void) {
  const uint8_t* from = data_in_flash;
  for (uint8_t* to = data_begin; to < data_end; to++) *to = *from++;
  for (uint8_t* to = bss_begin; to < bss_end; to++) *to = 0;
  main();
  board_exit(BOARD_DONE);
}

/* The debugger stops at `board_stop`, does what is asked, and clears the operation. */
typedef struct {
  uint32_t operation, arguments, result;
} mailbox;

volatile mailbox board_mailbox;

__attribute__((noinline)) void board_stop(void) { __asm__ volatile("nop" ::: "memory"); }

uint32_t board_semihosting(uint32_t operation, const void* arguments) {
  board_mailbox.arguments = (uintptr_t)arguments;
  board_mailbox.operation = operation;
  board_stop();
  return board_mailbox.result;
}

/* Above the return address. */
__attribute__((naked, noinline)) uint8_t* board_stack_pointer(void) {
  __asm__ volatile("mov r1, r12\n incd r12\n ret");
}

enum { ELAPSED = 0x30 };

void board_start_clock(void) {}

uint64_t board_ticks(void) {
  uint32_t words[2];
  board_semihosting(ELAPSED, words);
  return (uint64_t)words[1] << 32 | words[0];
}

void* memcpy(void* restrict to, const void* restrict from, size_t size) {
  uint8_t* out = to;
  const uint8_t* in = from;
  while (size-- > 0) *out++ = *in++;
  return to;
}

void* memset(void* to, int byte, size_t size) {
  uint8_t* out = to;
  while (size-- > 0) *out++ = (uint8_t)byte;
  return to;
}

/* Without a multiplier and a divider: bit by bit. */
#define MULTIPLY(name, integer)                           \
  integer name(integer a, integer b);                     \
  integer name(integer a, integer b) {                    \
    integer product = 0;                                  \
    for (; b != 0; b = (integer)(b >> 1)) {               \
      if ((b & 1) != 0) product = (integer)(product + a); \
      a = (integer)(a << 1);                              \
    }                                                     \
    return product;                                       \
  }                                                       \
  typedef integer name##_result

#define DIVIDE(name, integer, bits)                               \
  static integer name(integer a, integer b, integer* remainder) { \
    integer quotient = 0, rest = 0;                               \
    for (uint8_t bit = 0; bit < (bits); bit++) {                  \
      rest = (integer)(rest << 1) | (integer)(a >> ((bits) - 1)); \
      a = (integer)(a << 1);                                      \
      quotient = (integer)(quotient << 1);                        \
      if (rest >= b) {                                            \
        rest = (integer)(rest - b);                               \
        quotient |= 1;                                            \
      }                                                           \
    }                                                             \
    *remainder = rest;                                            \
    return quotient;                                              \
  }                                                               \
  typedef integer name##_result

DIVIDE(divide_16, uint16_t, 16);
DIVIDE(divide_32, uint32_t, 32);

MULTIPLY(__mspabi_mpyi, uint16_t);
MULTIPLY(__mspabi_mpyl, uint32_t);
MULTIPLY(board_multiply_64, uint64_t);

/* Its first argument comes in R8 to R11, the second in R12 to R15. */
void __mspabi_mpyll(void);
__attribute__((naked)) void __mspabi_mpyll(void) {
  __asm__ volatile(
      "push r15\n push r14\n push r13\n push r12\n"
      "mov r8, r12\n mov r9, r13\n mov r10, r14\n mov r11, r15\n"
      "call #board_multiply_64\n"
      "add #8, r1\n"
      "ret");
}

uint16_t __mspabi_divu(uint16_t a, uint16_t b);
uint16_t __mspabi_divu(uint16_t a, uint16_t b) {
  uint16_t remainder;
  return divide_16(a, b, &remainder);
}

uint16_t __mspabi_remu(uint16_t a, uint16_t b);
uint16_t __mspabi_remu(uint16_t a, uint16_t b) {
  uint16_t remainder;
  divide_16(a, b, &remainder);
  return remainder;
}

uint32_t __mspabi_divul(uint32_t a, uint32_t b);
uint32_t __mspabi_divul(uint32_t a, uint32_t b) {
  uint32_t remainder;
  return divide_32(a, b, &remainder);
}

uint32_t __mspabi_remul(uint32_t a, uint32_t b);
uint32_t __mspabi_remul(uint32_t a, uint32_t b) {
  uint32_t remainder;
  divide_32(a, b, &remainder);
  return remainder;
}

#define SHIFT(name, integer, counter, direction)      \
  integer name(integer a, counter count);             \
  integer name(integer a, counter count) {            \
    while (count-- > 0) a = (integer)(a direction 1); \
    return a;                                         \
  }                                                   \
  typedef integer name##_result

SHIFT(__mspabi_slli, uint16_t, uint16_t, <<);
SHIFT(__mspabi_srli, uint16_t, uint16_t, >>);
SHIFT(__mspabi_srai, int16_t, uint16_t, >>);
SHIFT(__mspabi_slll, uint32_t, uint16_t, <<);
SHIFT(__mspabi_srll, uint32_t, uint16_t, >>);
SHIFT(__mspabi_sral, int32_t, uint16_t, >>);
SHIFT(__ashldi3, uint64_t, int, <<);
SHIFT(__lshrdi3, uint64_t, int, >>);
SHIFT(__ashrdi3, int64_t, int, >>);
