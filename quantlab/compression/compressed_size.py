"""The bytes that a compression came to, with all that belongs to them."""

from quantlab.compression.compress import Compressed


class CompressedSize(int):
    """Bytes of flash of all objects; an integer. result: the network, the C and the report."""

    result: Compressed

    def __new__(cls, result: Compressed) -> "CompressedSize":
        made = super().__new__(cls, result.report.flash)
        made.result = result
        return made

    def __reduce__(self) -> "tuple[type[CompressedSize], tuple[Compressed]]":
        return CompressedSize, (self.result,)
