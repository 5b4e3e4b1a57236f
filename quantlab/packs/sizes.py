"""Where the bytes of a pack are: they add up to those of the file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from quantlab.formats import container
from quantlab.packs.file import KIND

OVERHEAD = "header, checksums and hash"


@dataclass(frozen=True, kw_only=True)
class PartSize:
    """The bytes of a part of a layer: a factor, `scale`, `ratios`, `bias`, ... layer: empty for
    what belongs to none, see OVERHEAD."""

    layer: str
    part: str
    nbytes: int


def pack_sizes(data: bytes, source: str = "pack") -> list[PartSize]:
    """Return the bytes of all parts of a pack in a file, in its order, the overhead last.

    source: the file's name, for errors. Raises as `from_bytes`.
    """
    contents = container.unpack(data, KIND, source)
    return [
        *_parts(contents.sizes),
        PartSize(layer="", part=OVERHEAD, nbytes=contents.header_bytes),
    ]


def _parts(sizes: Mapping[str, int]) -> Iterator[PartSize]:
    for name, nbytes in sizes.items():
        layer, _, part = name.rpartition(".")
        yield PartSize(layer=layer, part=part, nbytes=nbytes)
