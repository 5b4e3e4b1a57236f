"""The exact dialect: a program in ONNX that gives the same integers in onnxruntime.

Made of operators that onnxruntime computes exactly on every processor: `ConvInteger` and
`MatMulInteger` for sums of products, int64 for rescaling. The rest is composed:

* Factors of products are unsigned bytes, signed ones with the zero point 128. Where a processor has
  AVX2 but no VNNI, onnxruntime adds two products of a signed and an unsigned byte in 16 bits, and
  saturates: in `MatMulInteger` of u8 x s8 and in `ConvInteger` of s8 x u8 (1.32). It widens two
  unsigned bytes first.
* Rounding down after the shift: (t - t mod 2^S) / 2^S, since `Div` rounds towards zero, `Mod` down,
  and `BitShift` knows no sign.
* Clamping in int32, after the division: on int64, `Min`, `Max` and `Clip` give 0 for numbers from
  2^31 to 2^32 (onnxruntime up to 1.32 at least). Where the quotient may not fit in 32 bits,
  comparisons and `Where` come first.
* Tensors of 16 bits, which `ConvInteger` does not take: their two bytes separately.

Every tensor of the program is an output of the model, so that all can be compared.
"""

from quantlab.deploy.onnx.exact.model import exact_model

__all__ = ["exact_model"]
