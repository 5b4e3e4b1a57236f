"""How near the packing kernels come to the speed of memory, and to NumPy.

Each kernel, variant and size takes turns with a memcpy that moves as many bytes in total (read plus
written) and with NumPy where it has the operation: packbits and unpackbits for 1 bit,
bitwise_count for popcount, which writes the counts of words before it adds them. `bandwidth` is the
share of memcpy's bytes per second; where it exceeds 1, memcpy reads its target before it writes and
the kernel does not. With two threads the memcpy runs on two threads too, half each.

Row.ratio: the peer's time / the kernel's time.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Row, interleaved, report
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


def rows_of(
    kernel: str,
    *,
    num_bits: int,
    size: str,
    num_bytes: int,
    runs: dict[str, Call],
    copy: Call,
    numpy: tuple[str, Call] | None,
    num_threads: int,
) -> Iterator[Row]:
    """Time the runs of all variants with their peers; yield a row for each variant and peer."""
    sides = {"memcpy": copy, **runs}
    if numpy is not None:
        sides["numpy"] = numpy[1]
    timings = interleaved(sides, REPEATS, seconds=SECONDS)
    for variant in runs:
        own = timings[variant]
        figures = {
            "kernel": kernel,
            "num_bits": num_bits,
            "size": size,
            "variant": variant,
            "num_threads": num_threads,
            "gigabytes_per_second": num_bytes / own.seconds / 1e9,
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
    num_bytes = codes.size + packed.size
    numpy_pack: tuple[str, Call] | None = None
    numpy_unpack: tuple[str, Call] | None = None
    if num_bits == 1 and num_threads == 1:
        numpy_pack = "numpy.packbits", partial(np.packbits, codes, bitorder="little")
        numpy_unpack = "numpy.unpackbits", partial(np.unpackbits, packed, bitorder="little")
    how = {"num_bits": num_bits, "size": size, "num_bytes": num_bytes, "num_threads": num_threads}
    copy = memcpy(num_bytes, num_threads, pool)
    threads = {"num_threads": num_threads}
    packs: dict[str, Call] = {
        variant: partial(backend.pack, codes, num_bits, out=packed, variant=variant, **threads)
        for variant in backend.kernels("pack")
    }
    unpacks: dict[str, Call] = {
        variant: partial(
            backend.unpack,
            packed,
            num_bits,
            num_codes=codes.size,
            out=back,
            variant=variant,
            **threads,
        )
        for variant in backend.kernels("unpack")
    }
    yield from rows_of("pack", runs=packs, copy=copy, numpy=numpy_pack, **how)
    yield from rows_of("unpack", runs=unpacks, copy=copy, numpy=numpy_unpack, **how)


def numpy_popcount(words: NDArray[np.uint64]) -> object:
    return np.bitwise_count(words).sum(axis=1, dtype=np.int64)


def popcount_rows(size: str, num_threads: int, pool: ThreadPoolExecutor) -> Iterator[Row]:
    words = np.random.default_rng(0).integers(0, 2**64, (SIZES[size] // 512, 64), dtype=np.uint64)
    counts = np.empty(len(words), np.int64)
    num_bytes = words.nbytes + counts.nbytes
    runs: dict[str, Call] = {
        variant: partial(
            backend.popcount, words, out=counts, variant=variant, num_threads=num_threads
        )
        for variant in backend.kernels("popcount")
    }
    yield from rows_of(
        "popcount",
        num_bits=1,
        size=size,
        num_bytes=num_bytes,
        runs=runs,
        copy=memcpy(num_bytes, num_threads, pool),
        numpy=("numpy.bitwise_count", partial(numpy_popcount, words)) if num_threads == 1 else None,
        num_threads=num_threads,
    )


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
