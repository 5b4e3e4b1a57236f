"""DL2SQL: networks in a database as they were before bits, the baseline of the benchmarks.

After "A Comparative Study of In-Database Inference Approaches" (ICDE 2022): a scalar a row, a layer
a join of inputs and weights with the sum of their products, all in floats of 64 bits. What only
moves or pools values is as in `relational`. Products of a rescaling beyond 2^53 are rounded, so
that an integer of the program may differ by one.
"""
