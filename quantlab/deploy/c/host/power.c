/* Runs a model on power that fails.

   A tick is a load or a store: a compiler that checks threads calls a function before each of them.
   When a charge of so many ticks is used up, the stack is lost and the model is called again.

   power GIVEN MADE every STEP          one failure in each inference: at tick 1, 1 + STEP, ...
   power GIVEN MADE traces COUNT SEED   inferences on charges of random lengths
   power GIVEN MADE charges TICKS       one inference on charges of one length

   Reads the inputs from a file, writes the outputs of an unbroken inference to another one, and
   prints what simulate.py reads. */
#include "power.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRESS = 2, STACK = 1 << 15 };

static uint8_t *memory, *given, *expected;
static size_t size;
static jmp_buf power_is_off;

/* Of the tile that is done now: in which tile each byte was last written, and last read without
   being written there before. */
static uint32_t *written_in, *read_in;
static uint32_t tile = 1;

static uint64_t charge, ticks, since_commit;
static uint64_t longest, failures, inferences, wrong, stuck, overwritten;

static int is_commit(const uint8_t* at) { return at >= memory && at < memory + PROGRESS; }

static void tick(void) {
  if (charge-- == 0) longjmp(power_is_off, 1);
  ticks++;
  if (++since_commit > longest) longest = since_commit;
}

static void load(const uint8_t* at, size_t count) {
  tick();
  if (is_commit(at)) return;
  for (; count > 0; count--, at++)
    if (at >= memory && at < memory + size && written_in[at - memory] != tile)
      read_in[at - memory] = tile;
}

static void store(const uint8_t* at, size_t count) {
  tick();
  if (is_commit(at)) {
    since_commit = 0;
    tile++;
    return;
  }
  for (; count > 0; count--, at++)
    if (at >= memory && at < memory + size) {
      if (read_in[at - memory] == tile && written_in[at - memory] != tile) overwritten++;
      written_in[at - memory] = tile;
    }
}

/* Of the C library, byte by byte. */
void* power_memcpy(void* to, const void* from, size_t count);
void* power_memset(void* to, int byte, size_t count);

void* power_memcpy(void* to, const void* from, size_t count) {
  for (size_t i = 0; i < count; i++) {
    load((const uint8_t*)from + i, 1);
    store((const uint8_t*)to + i, 1);
    ((uint8_t*)to)[i] = ((const uint8_t*)from)[i];
  }
  return to;
}

void* power_memset(void* to, int byte, size_t count) {
  for (size_t i = 0; i < count; i++) {
    store((const uint8_t*)to + i, 1);
    ((uint8_t*)to)[i] = (uint8_t)byte;
  }
  return to;
}

/* What compilers call. */
#define ACCESS(name, function, count) \
  void name(const void* at);          \
  void name(const void* at) { function(at, count); }
#define ACCESSES(count)                               \
  ACCESS(__tsan_read##count, load, count)             \
  ACCESS(__tsan_write##count, store, count)           \
  ACCESS(__tsan_unaligned_read##count, load, count)   \
  ACCESS(__tsan_unaligned_write##count, store, count) \
  ACCESS(__tsan_volatile_read##count, load, count)    \
  ACCESS(__tsan_volatile_write##count, store, count)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_init(void);
void __tsan_func_entry(void* caller);
void __tsan_func_exit(void);
void __tsan_read_range(const void* at, size_t count);
void __tsan_write_range(const void* at, size_t count);
void* __tsan_memcpy(void* to, const void* from, size_t count);
void* __tsan_memset(void* to, int byte, size_t count);

void __tsan_init(void) {}
void __tsan_func_entry(void* caller) { (void)caller; }
void __tsan_func_exit(void) {}
void __tsan_read_range(const void* at, size_t count) { load(at, count); }
void __tsan_write_range(const void* at, size_t count) { store(at, count); }
void* __tsan_memcpy(void* to, const void* from, size_t count) {
  return power_memcpy(to, from, count);
}
void* __tsan_memset(void* to, int byte, size_t count) { return power_memset(to, byte, count); }

/* Lose what is on the stack. */
__attribute__((noinline)) static void lose_stack(void) {
  volatile uint8_t lost[STACK];
  for (size_t i = 0; i < STACK; i++) lost[i] = 0xA5;
  (void)lost[STACK - 1];
}

/* A new inference: no output is there yet, and the arena has what others left in it. */
static void begin(uint8_t left) {
  memset(memory, left, size);
  memset(memory, 0, PROGRESS);
  memcpy(memory + power_arena_size, given, power_inputs_size);
  since_commit = 0;
  tile++;
}

static const uint8_t* outputs(void) { return memory + power_arena_size + power_inputs_size; }

/* Run the model on a charge; return whether it was enough. */
static int has_run(uint64_t length) {
  charge = length;
  since_commit = 0;
  if (setjmp(power_is_off) != 0) {
    failures++;
    tile++;
    lose_stack();
    return 0;
  }
  if (power_run(memory) != 0) {
    fputs("ql_run failed\n", stderr);
    exit(1);
  }
  return 1;
}

static void finish(void) {
  const int is_right = memory[0] == 0 && memory[1] == 0 &&
                       memcmp(outputs(), expected, power_outputs_size) == 0 &&
                       memcmp(memory + power_arena_size, given, power_inputs_size) == 0;
  inferences++;
  if (!is_right) wrong++;
}

/* G. Marsaglia, "Xorshift RNGs", 2003. */
static uint32_t next_random(uint32_t* seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  *seed ^= *seed << 5;
  return *seed;
}

static void fail_at_every(uint64_t step, uint64_t in_all) {
  for (uint64_t at = 0; at < in_all; at += step) {
    begin((uint8_t)(at * 31));
    if (!has_run(at)) has_run(UINT64_MAX);
    finish();
  }
}

static void fail_at_random(uint64_t count, uint32_t seed, uint64_t most) {
  for (; count > 0; count--) {
    begin((uint8_t)next_random(&seed));
    while (!has_run(1 + next_random(&seed) % most)) continue;
    finish();
  }
}

static void fail_regularly(uint64_t length) {
  begin(0x5A);
  for (;;) {
    uint8_t before[PROGRESS];
    memcpy(before, memory, PROGRESS);
    if (has_run(length)) break;
    /* With the same charge, what was not finished now never will be. */
    if (memcmp(before, memory, PROGRESS) == 0) {
      stuck = (uint64_t)memory[0] | (uint64_t)memory[1] << 8;
      inferences++;
      return;
    }
  }
  finish();
}

static void* allocate(size_t count) {
  void* found = calloc(count + 1, 1);
  if (found == NULL) exit(2);
  return found;
}

int main(int argc, char** argv) {
  if (argc < 5) return 3;
  size = power_arena_size + power_inputs_size + power_outputs_size;
  memory = allocate(size);
  given = allocate(power_inputs_size);
  expected = allocate(power_outputs_size);
  written_in = allocate(size * sizeof *written_in);
  read_in = allocate(size * sizeof *read_in);
  FILE* file = fopen(argv[1], "rb");
  if (file == NULL || fread(given, 1, power_inputs_size, file) != power_inputs_size) return 4;
  fclose(file);
  begin(0xC3);
  if (!has_run(UINT64_MAX)) return 5;
  memcpy(expected, outputs(), power_outputs_size);
  const uint64_t in_all = ticks, longest_tile = longest;
  file = fopen(argv[2], "wb");
  if (file == NULL || fwrite(expected, 1, power_outputs_size, file) != power_outputs_size) return 6;
  fclose(file);
  const uint64_t number = strtoull(argv[4], NULL, 10);
  if (strcmp(argv[3], "every") == 0) fail_at_every(number, in_all);
  if (strcmp(argv[3], "traces") == 0 && argc > 5)
    fail_at_random(number, (uint32_t)strtoul(argv[5], NULL, 10) | 1, 2 * longest_tile);
  if (strcmp(argv[3], "charges") == 0) fail_regularly(number);
  printf(
      "{\"ticks\": %llu, \"longest\": %llu, \"failures\": %llu, \"inferences\": %llu, "
      "\"wrong\": %llu, \"stuck\": %llu, \"overwritten\": %llu}\n",
      (unsigned long long)in_all, (unsigned long long)longest_tile, (unsigned long long)failures,
      (unsigned long long)inferences, (unsigned long long)wrong, (unsigned long long)stuck,
      (unsigned long long)overwritten);
  return 0;
}
