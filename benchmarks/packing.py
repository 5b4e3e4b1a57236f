"""How near the packing kernels come to the speed of memory, and to NumPy.

Each kernel, variant and size takes turns with a memcpy that moves as many bytes in total (read plus
written) and with NumPy where it has the operation: packbits and unpackbits for 1 bit,
bitwise_count for popcount, which writes the counts of words before it adds them. `bandwidth` is the
share of memcpy's bytes per second; where it exceeds 1, memcpy reads its target before it writes and
the kernel does not. One thread is timed by its own clock; with two, the memcpy runs on two threads
too, half each, and the wall clock counts.

Row.ratio: the peer's time / the kernel's time.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter, thread_time

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, Row, interleaved, report
from quantlab import backend

NUM_BITS = (1, 2, 4, 8)
SIZES = {"L2": 1 << 19, "memory": 1 << 27}  # bytes of codes, or of words
REPEATS = 15
SECONDS = 0.002

Call = Callable[[], object]


def memcpy(num_bytes: int, num_threads: int, pool: ThreadPoolExecutor) -> Call:
    """Return a copy that reads and writes `num_bytes` in total."""
    source = np.ones(num_bytes // 2, np.uint8)
    target = np.ones_like(source)
    if num_threads == 1:
        return partial(np.copyto, target, source)
    parts = list(
        zip(np.array_split(target, num_threads), np.array_split(source, num_threads), strict=True)
    )
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What all sides of a comparison share. num_bytes: read plus written by one call."""

    num_bits: int
    size: str
    num_bytes: int
    num_threads: int


def rows_of(
    kernel: str, case: Case, runs: Mapping[str, Call], copy: Call, numpy: tuple[str, Call] | None
) -> Iterator[Row]:
    """Time the runs of all variants with their peers; yield a row for each variant and peer."""
    sides = {"memcpy": copy, **runs}
    if numpy is not None:
        sides["numpy"] = numpy[1]
    clock = thread_time if case.num_threads == 1 else perf_counter
    timings = interleaved(sides, REPEATS, seconds=SECONDS, clock=clock)
    for variant in runs:
        own = timings[variant]
        figures: dict[str, Figure] = {
            "kernel": kernel,
            "num_bits": case.num_bits,
            "size": case.size,
            "variant": variant,
            "num_threads": case.num_threads,
            "gigabytes_per_second": case.num_bytes / own.seconds / 1e9,
            "bandwidth": own.ratio,
        }
        yield Row(figures=figures, peer="memcpy", ratio=own.ratio)
        if numpy is not None:
            yield Row(figures=figures, peer=numpy[0], ratio=own.ratio / timings["numpy"].ratio)


def bitpack_rows(
    size: str, num_bits: int, num_threads: int, pool: ThreadPoolExecutor
) -> Iterator[Row]:
    codes = np.random.default_rng(0).integers(0, 1 << num_bits, SIZES[size], dtype=np.uint8)
    packed = backend.pack(codes, num_bits)
    back = np.empty_like(codes)
    case = Case(
        num_bits=num_bits,
        size=size,
        num_bytes=codes.size + packed.size,
        num_threads=num_threads,
    )
    copy = memcpy(case.num_bytes, num_threads, pool)
    pack = partial(backend.pack, codes, num_bits, out=packed, num_threads=num_threads)
    unpack = partial(
        backend.unpack, packed, num_bits, num_codes=codes.size, out=back, num_threads=num_threads
    )
    numpy_pack: tuple[str, Call] | None = None
    numpy_unpack: tuple[str, Call] | None = None
    if num_bits == 1 and num_threads == 1:
        numpy_pack = "numpy.packbits", partial(np.packbits, codes, bitorder="little")
        numpy_unpack = "numpy.unpackbits", partial(np.unpackbits, packed, bitorder="little")
    yield from rows_of("pack", case, variants_of("pack", pack), copy, numpy_pack)
    yield from rows_of("unpack", case, variants_of("unpack", unpack), copy, numpy_unpack)


def variants_of(kernel: str, call: Callable[..., object]) -> dict[str, Call]:
    return {variant: partial(call, variant=variant) for variant in backend.kernels(kernel)}


def numpy_popcount(words: NDArray[np.uint64]) -> object:
    return np.bitwise_count(words).sum(axis=1, dtype=np.int64)


def popcount_rows(size: str, num_threads: int, pool: ThreadPoolExecutor) -> Iterator[Row]:
    words = np.random.default_rng(0).integers(0, 2**64, (SIZES[size] // 512, 64), dtype=np.uint64)
    counts = np.empty(len(words), np.int64)
    case = Case(
        num_bits=1, size=size, num_bytes=words.nbytes + counts.nbytes, num_threads=num_threads
    )
    popcount = partial(backend.popcount, words, out=counts, num_threads=num_threads)
    numpy = ("numpy.bitwise_count", partial(numpy_popcount, words)) if num_threads == 1 else None
    copy = memcpy(case.num_bytes, num_threads, pool)
    yield from rows_of("popcount", case, variants_of("popcount", popcount), copy, numpy)


def main() -> None:
    rows: list[Row] = []
    with ThreadPoolExecutor(2) as pool:
        for size in SIZES:
            for num_threads in (1, 2) if size == "memory" else (1,):
                for num_bits in NUM_BITS:
                    rows.extend(bitpack_rows(size, num_bits, num_threads, pool))
                rows.extend(popcount_rows(size, num_threads, pool))
    report("packing", rows)


if __name__ == "__main__":
    main()
