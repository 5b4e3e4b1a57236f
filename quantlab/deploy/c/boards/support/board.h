/* What a program asks of the board that it runs on. Files are those of the emulator's folder. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* How a program ends; a model's own codes are smaller. The emulator fails with 1 by itself. */
enum { BOARD_DONE = 0, BOARD_MODEL = 32, BOARD_FAULT = 64, BOARD_FILE = 65 };

typedef uint32_t board_file;

board_file board_open_to_read(const char* name);
board_file board_open_to_write(const char* name);
/* Exactly `size` bytes, or the program ends with BOARD_FILE. */
void board_read(board_file file, void* to, size_t size);
void board_write(board_file file, const void* from, size_t size);
void board_exit(uint32_t code) __attribute__((noreturn));

/* Ticks of a clock that goes on with each instruction by a fixed part of a tick. */
void board_start_clock(void);
uint64_t board_ticks(void);

/* The stack pointer of whoever calls. */
uint8_t* board_stack_pointer(void);
/* Paint what of the stack is not in use. */
void board_paint_stack(void);
/* How many bytes below `end` were written to since. The program ends with BOARD_FAULT if all were:
   not every board has a fault for what comes below the stack. */
uint32_t board_painted_over(const uint8_t* end);

/* The emulator does what an operation of semihosting says. Returns its result. */
uint32_t board_semihosting(uint32_t operation, const void* arguments);

#endif
