/* Runs a model's own test, and writes its code. */
#include "board.h"
#include "call.h"

int main(void) {
  const uint8_t code = (uint8_t)call_model();
  const board_file written = board_open_to_write("code");
  board_write(written, &code, sizeof code);
  return 0;
}
