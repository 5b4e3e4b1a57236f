"""The instructions of WebAssembly that modules use, by the names of the specification.

Source: WebAssembly Core Specification 3.0, appendix "Index of Instructions".
"""

from collections.abc import Mapping

from quantlab.deploy.clickhouse.wasm.leb128 import unsigned

_PLAIN = {
    "unreachable": 0x00, "block": 0x02, "loop": 0x03, "if": 0x04, "else": 0x05, "end": 0x0B,
    "br": 0x0C, "br_if": 0x0D, "return": 0x0F, "call": 0x10, "drop": 0x1A, "select": 0x1B,
    "local.get": 0x20, "local.set": 0x21, "global.get": 0x23, "global.set": 0x24,
    "i32.load": 0x28, "i64.load": 0x29, "i32.load8_s": 0x2C, "i32.load8_u": 0x2D,
    "i32.load16_s": 0x2E, "i32.load16_u": 0x2F, "i32.store": 0x36, "i64.store": 0x37,
    "i32.store8": 0x3A, "i32.store16": 0x3B, "i32.const": 0x41, "i64.const": 0x42,
    "i32.eqz": 0x45, "i32.eq": 0x46, "i32.ne": 0x47, "i32.lt_s": 0x48, "i32.lt_u": 0x49,
    "i32.gt_s": 0x4A, "i32.gt_u": 0x4B, "i32.le_s": 0x4C, "i32.le_u": 0x4D, "i32.ge_s": 0x4E,
    "i32.ge_u": 0x4F, "i64.lt_s": 0x53, "i64.gt_s": 0x55, "i64.gt_u": 0x56, "i64.le_s": 0x57,
    "i64.ge_s": 0x59, "i32.popcnt": 0x69, "i32.add": 0x6A, "i32.sub": 0x6B, "i32.mul": 0x6C,
    "i32.div_u": 0x6E, "i32.rem_u": 0x70, "i32.and": 0x71, "i32.or": 0x72, "i32.xor": 0x73,
    "i32.shl": 0x74, "i32.shr_s": 0x75, "i32.shr_u": 0x76, "i64.popcnt": 0x7B, "i64.add": 0x7C,
    "i64.sub": 0x7D, "i64.mul": 0x7E, "i64.and": 0x83, "i64.or": 0x84, "i64.xor": 0x85,
    "i64.shl": 0x86, "i64.shr_s": 0x87, "i64.shr_u": 0x88, "i32.wrap_i64": 0xA7,
    "i64.extend_i32_s": 0xAC, "i64.extend_i32_u": 0xAD,
}  # fmt: skip
_BULK = {"memory.copy": 10, "memory.fill": 11}
_VECTOR = {
    "v128.load": 0x00, "i16x8.load8x8_s": 0x01, "i16x8.load8x8_u": 0x02, "i32x4.load16x4_s": 0x03,
    "v128.load8_splat": 0x07, "v128.load16_splat": 0x08, "v128.load32_splat": 0x09,
    "v128.load64_splat": 0x0A, "v128.store": 0x0B, "v128.const": 0x0C, "i8x16.shuffle": 0x0D,
    "i8x16.splat": 0x0F, "i16x8.splat": 0x10, "i32x4.splat": 0x11, "i64x2.splat": 0x12,
    "i32x4.extract_lane": 0x1B, "i64x2.extract_lane": 0x1D, "i8x16.ne": 0x24, "i8x16.gt_s": 0x27,
    "i8x16.gt_u": 0x28, "i8x16.ge_s": 0x2B, "i8x16.ge_u": 0x2C, "i16x8.gt_s": 0x31,
    "i16x8.ge_s": 0x35, "i32x4.gt_s": 0x3B, "i32x4.ge_s": 0x3F, "v128.not": 0x4D,
    "v128.and": 0x4E, "v128.andnot": 0x4F, "v128.or": 0x50, "v128.xor": 0x51,
    "v128.bitselect": 0x52, "v128.store8_lane": 0x58, "v128.store16_lane": 0x59,
    "v128.store32_lane": 0x5A, "v128.store64_lane": 0x5B, "v128.load32_zero": 0x5C,
    "v128.load64_zero": 0x5D, "i8x16.popcnt": 0x62, "i8x16.bitmask": 0x64,
    "i8x16.narrow_i16x8_s": 0x65, "i8x16.narrow_i16x8_u": 0x66, "i8x16.shl": 0x6B,
    "i8x16.add": 0x6E,
    "i8x16.sub": 0x71, "i8x16.min_s": 0x76, "i8x16.min_u": 0x77, "i8x16.max_s": 0x78,
    "i8x16.max_u": 0x79, "i16x8.extadd_pairwise_i8x16_s": 0x7C,
    "i16x8.extadd_pairwise_i8x16_u": 0x7D, "i32x4.extadd_pairwise_i16x8_s": 0x7E,
    "i32x4.extadd_pairwise_i16x8_u": 0x7F, "i16x8.bitmask": 0x84,
    "i16x8.narrow_i32x4_s": 0x85, "i16x8.extend_low_i8x16_s": 0x87,
    "i16x8.extend_high_i8x16_s": 0x88, "i16x8.extend_low_i8x16_u": 0x89,
    "i16x8.extend_high_i8x16_u": 0x8A, "i16x8.add": 0x8E, "i16x8.sub": 0x91, "i16x8.mul": 0x95,
    "i16x8.min_s": 0x96, "i16x8.max_s": 0x98, "i32x4.bitmask": 0xA4,
    "i32x4.extend_low_i16x8_s": 0xA7, "i32x4.extend_high_i16x8_s": 0xA8,
    "i32x4.extend_low_i16x8_u": 0xA9, "i32x4.extend_high_i16x8_u": 0xAA, "i32x4.shl": 0xAB,
    "i32x4.shr_s": 0xAC, "i32x4.add": 0xAE, "i32x4.sub": 0xB1, "i32x4.mul": 0xB5,
    "i32x4.min_s": 0xB6, "i32x4.max_s": 0xB8, "i32x4.dot_i16x8_s": 0xBA,
    "i64x2.extend_low_i32x4_s": 0xC7, "i64x2.extend_high_i32x4_s": 0xC8, "i64x2.shl": 0xCB,
    "i64x2.shr_s": 0xCC, "i64x2.add": 0xCE, "i64x2.gt_s": 0xD9,
    "i64x2.extmul_low_i32x4_s": 0xDC, "i64x2.extmul_high_i32x4_s": 0xDD,
    "i16x8.relaxed_dot_i8x16_i7x16_s": 0x112, "i32x4.relaxed_dot_i8x16_i7x16_add_s": 0x113,
}  # fmt: skip

OPCODES: Mapping[str, bytes] = {
    **{name: bytes([code]) for name, code in _PLAIN.items()},
    **{name: b"\xfc" + unsigned(code) for name, code in _BULK.items()},
    **{name: b"\xfd" + unsigned(code) for name, code in _VECTOR.items()},
}
