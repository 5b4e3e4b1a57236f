/* Files by semihosting: Arm, "Semihosting for AArch32 and AArch64"; RISC-V has taken it over. */
#include "board.h"

enum { OPEN = 0x01, WRITE = 0x05, READ = 0x06, EXIT_EXTENDED = 0x20 };
enum { MODE_READ = 1, MODE_WRITE = 5 };

static const uint32_t APPLICATION_EXIT = 0x20026;

static board_file open(const char* name, uint32_t mode) {
  uint32_t length = 0;
  while (name[length] != 0) length++;
  const uint32_t arguments[] = {(uint32_t)(uintptr_t)name, mode, length};
  const uint32_t file = board_semihosting(OPEN, arguments);
  if (file == UINT32_MAX) board_exit(BOARD_FILE);
  return file;
}

board_file board_open_to_read(const char* name) { return open(name, MODE_READ); }

board_file board_open_to_write(const char* name) { return open(name, MODE_WRITE); }

/* The emulator says how many bytes are left. */
static void transfer(uint32_t operation, board_file file, const void* memory, size_t size) {
  const uint32_t arguments[] = {file, (uint32_t)(uintptr_t)memory, (uint32_t)size};
  if (size > 0 && board_semihosting(operation, arguments) != 0) board_exit(BOARD_FILE);
}

void board_read(board_file file, void* to, size_t size) { transfer(READ, file, to, size); }

void board_write(board_file file, const void* from, size_t size) {
  transfer(WRITE, file, from, size);
}

void board_exit(uint32_t code) {
  const uint32_t arguments[] = {APPLICATION_EXIT, code};
  board_semihosting(EXIT_EXTENDED, arguments);
  for (;;) {
  }
}
