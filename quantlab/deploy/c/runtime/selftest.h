/* A test that a model carries along: inputs that a few lines make, and a checksum of what comes
 * out. */
#ifndef QL_SELFTEST_H
#define QL_SELFTEST_H

#include "ql.h"

/* Fill bytes with numbers that follow from `seed`, which is not 0; returns the next seed. */
uint32_t ql_fill(void* bytes, size_t size, uint32_t seed);

/* CRC-32 (IEEE 802.3) of bytes behind those of which `crc` is it; 0 where there are none before. */
uint32_t ql_crc32(uint32_t crc, const void* bytes, size_t size);

#endif
