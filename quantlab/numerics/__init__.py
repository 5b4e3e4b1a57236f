"""The arithmetic that every other part agrees on: rounding, integer ranges, scales, bit packing.

Nothing is imported here, so that the parts without torch (`ranges`, `granularity`, `packing`) can
be used without torch.
"""
