"""Every variant of every kernel against NumPy; what is refused; one OpenMP runtime."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from quantlab import backend
from quantlab.errors import UsageError

LARGE = (1 << 19) + 77  # enough for two threads, and no multiple of a vector
STREAMED = (32 << 20) + 12345  # written past the caches


def pack_numpy(codes: NDArray[np.uint8], num_bits: int) -> NDArray[np.uint8]:
    bits = np.unpackbits(codes[:, None], axis=1, bitorder="little")[:, :num_bits]
    return np.packbits(bits, bitorder="little")


def random_codes(num_codes: int, num_bits: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng([num_codes, num_bits])
    return rng.integers(0, 1 << num_bits, num_codes, dtype=np.uint8)


def shifted(array: NDArray[np.uint8], start: int) -> NDArray[np.uint8]:
    """Copy `array` to an address that is `start` bytes behind a multiple of 64."""
    room = np.empty(array.size + 128, np.uint8)
    offset = -room.ctypes.data % 64 + start
    room[offset : offset + array.size] = array
    return room[offset : offset + array.size]


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        cwd=Path(backend.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("num_bits", range(1, 9))
@pytest.mark.parametrize("variant", backend.kernels("pack"))
class TestBitpack:
    def test_awkward_lengths_and_addresses(self, variant: str, num_bits: int) -> None:
        for num_codes in range(201):
            start = num_codes % 64
            codes = shifted(random_codes(num_codes, num_bits), start)
            expected = pack_numpy(codes, num_bits)
            room = shifted(np.full(expected.size + 2, 0xA5, np.uint8), 63 - start)
            backend.pack(codes, num_bits, out=room[1:-1], variant=variant)
            assert_array_equal(room, np.concatenate([[0xA5], expected, [0xA5]]))
            back = shifted(np.full(num_codes + 2, 0xA5, np.uint8), start)
            backend.unpack(
                room[1:-1], num_bits, num_codes=num_codes, out=back[1:-1], variant=variant
            )
            assert_array_equal(back, np.concatenate([[0xA5], codes, [0xA5]]))

    @pytest.mark.parametrize("num_threads", [1, 2, 3])
    def test_large(self, variant: str, num_bits: int, num_threads: int) -> None:
        codes = shifted(random_codes(LARGE, num_bits), 3)
        packed = backend.pack(codes, num_bits, variant=variant, num_threads=num_threads)
        assert_array_equal(packed, pack_numpy(codes, num_bits))
        back = backend.unpack(
            packed, num_bits, num_codes=LARGE, variant=variant, num_threads=num_threads
        )
        assert_array_equal(back, codes)

    def test_first_excess_is_named(self, variant: str, num_bits: int) -> None:
        if num_bits == 8:
            assert backend.pack(np.full(9, 255, np.uint8), 8, variant=variant).tolist() == [255] * 9
            return
        for index in (0, 70, 199):
            codes = random_codes(200, num_bits)
            codes[index:] = 1 << num_bits
            with pytest.raises(UsageError, match=rf"^codes\[{index}\]: {1 << num_bits} does not"):
                backend.pack(codes, num_bits, variant=variant)


@pytest.mark.parametrize("start", [0, 8, 16, 5])  # 5 cannot be aligned and is not streamed
@pytest.mark.parametrize("variant", backend.kernels("unpack"))
def test_unpack_past_the_caches(variant: str, start: int) -> None:
    period = random_codes(8 * 1021, 3)
    codes = np.resize(period, STREAMED)
    packed = np.resize(pack_numpy(period, 3), backend.packed_size(STREAMED, 3))
    packed[-1] &= 0xFF >> (-3 * STREAMED % 8)
    out = shifted(np.zeros(STREAMED, np.uint8), start)
    backend.unpack(packed, 3, num_codes=STREAMED, out=out, variant=variant, num_threads=2)
    assert np.array_equal(out, codes)


@given(st.integers(1, 8), st.binary(max_size=300), st.sampled_from(backend.kernels("pack")))
def test_round_trip(num_bits: int, content: bytes, variant: str) -> None:
    codes = np.frombuffer(content, np.uint8) >> (8 - num_bits)
    packed = backend.pack(codes, num_bits, variant=variant)
    assert packed.size == backend.packed_size(codes.size, num_bits)
    back = backend.unpack(packed, num_bits, num_codes=codes.size, variant=variant)
    assert_array_equal(back, codes)


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("variant", backend.kernels("popcount"))
def test_popcount(variant: str, num_threads: int) -> None:
    rng = np.random.default_rng(0)
    for num_rows, num_words in [*((3, w) for w in range(40)), (0, 5), (2000, 65), (1, 100_003)]:
        words = rng.integers(0, 2**64, (num_rows, num_words), dtype=np.uint64)
        words[:1] = 2**64 - 1
        counts = backend.popcount(words, variant=variant, num_threads=num_threads)
        assert counts.dtype == np.int64
        assert_array_equal(counts, np.bitwise_count(words).sum(axis=1, dtype=np.int64))


KERNELS = (
    "planes_half",
    "sparse_product_half",
    "sparse_gradient_half",
    "popcount",
    "convolve",
    "convolve_bits",
    "pool",
    "requantize",
)
CODES = np.arange(8, dtype=np.uint8)
READ_ONLY = np.zeros(4, np.uint8)
READ_ONLY.flags.writeable = False
REFUSED = {
    "num_bits: 0; allowed is 1..8": lambda: backend.pack(CODES, 0),
    "num_bits: 9; allowed is 1..8": lambda: backend.unpack(CODES, 9, num_codes=7),
    "num_threads: 0; allowed is 1..1024": lambda: backend.pack(CODES, 3, num_threads=0),
    "variant: 'avx3' does not run here; allowed are scalar": lambda: backend.pack(
        CODES, 3, variant="avx3"
    ),
    "codes: expected a C-contiguous aligned 1-D uint8 array, got int8 of shape (8,)": (
        lambda: backend.pack(CODES.view(np.int8), 3)
    ),
    "codes: expected a C-contiguous aligned 1-D uint8 array, got list": (
        lambda: backend.pack([1, 2], 3)
    ),
    "got uint8 of shape (2, 4)": lambda: backend.pack(CODES.reshape(2, 4), 3),
    "got uint8 of shape (4,) and strides (2,)": lambda: backend.pack(CODES[::2], 3),
    "got uint8 of shape (8,) and strides (-1,)": lambda: backend.pack(CODES[::-1], 3),
    "out: expected an array of 3 items, got uint8 of shape (4,)": lambda: backend.pack(
        CODES, 3, out=np.zeros(4, np.uint8)
    ),
    "out: expected a writeable array, got": lambda: backend.pack(CODES, 4, out=READ_ONLY),
    "out: shares memory with the input": lambda: backend.pack(CODES, 4, out=CODES[:4]),
    "packed: 8 bytes; allowed is 2 for num_codes=5 and num_bits=3": lambda: backend.unpack(
        CODES, 3, num_codes=5
    ),
    "num_codes: 22; allowed is 0..21": lambda: backend.unpack(CODES, 3, num_codes=22),
    "num_codes: -1; allowed is 0..21": lambda: backend.unpack(CODES, 3, num_codes=-1),
    "words: expected a C-contiguous aligned 2-D uint64 array, got uint64 of shape (1,)": (
        lambda: backend.popcount(CODES.view(np.uint64))
    ),
    "kernel: 'unpak' does not exist; did you mean 'unpack'?; allowed are pack, unpack": (
        lambda: backend.kernels("unpak")
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        REFUSED[message]()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("num_bits", [3.0, np.float32(3), "3"])
def test_number_of_bits_is_an_integer(num_bits: object) -> None:
    with pytest.raises(TypeError, match="num_bits"):
        backend.pack(CODES, num_bits)


def test_tables_are_in_the_order_of_the_sets() -> None:
    assert backend.supported_isas()[0] == "scalar"
    for kernel in ("pack", "unpack", *KERNELS):
        variants = backend.kernels(kernel)
        assert variants[0] == "scalar"
        assert [isa for isa in backend.supported_isas() if isa in variants] == list(variants)


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo: Linux only")
def test_detection_agrees_with_linux() -> None:
    flags = set(Path("/proc/cpuinfo").read_text().split())
    avx512 = {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
    vnni = avx512 | {"avx512_vnni"}
    needed = {"avx2": {"avx2", "fma", "f16c"}, "avx512": avx512, "avx512vnni": vnni}
    needed["avx512vpopcntdq"] = vnni | {"avx512_vpopcntdq"}
    needed["avx512fp16"] = needed["avx512vpopcntdq"] | {"avx512_fp16"}
    needed["amx_bf16"] = needed["avx512fp16"] | {"avx512_bf16", "amx_tile", "amx_bf16"}
    assert backend.supported_isas()[1:] == tuple(i for i, need in needed.items() if need <= flags)


@pytest.mark.parametrize("isa", backend.supported_isas())
def test_forced_isa(isa: str) -> None:
    done = run_python("from quantlab import backend; print(backend.isa())", QUANTLAB_ISA=isa)
    assert (done.stdout, done.stderr) == (f"{isa}\n", "")


def test_unknown_isa_is_one_line_that_names_those_supported() -> None:
    done = run_python("import quantlab.backend", QUANTLAB_ISA="scaler")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "quantlab.errors.UsageError: QUANTLAB_ISA: 'scaler' is not supported by this processor or "
        "build; did you mean 'scalar'?; supported are " + ", ".join(backend.supported_isas())
    )


MAPPED = "print(*{x.split()[-1] for x in open('/proc/self/maps') if 'omp' in x.rsplit('/')[-1]})"
USE_BOTH = """
import numpy as np
codes = np.zeros(1 << 20, np.uint8)
assert not backend.pack(codes, 1, num_threads=2).any()
torch.set_num_threads(2); assert backend.max_threads() == 2
torch.ones(1 << 20).add_(1)
torch.set_num_threads(1); assert backend.max_threads() == 1
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="OpenMP is used on Linux only")
@pytest.mark.parametrize(
    "imports",
    ["import torch; from quantlab import backend", "from quantlab import backend; import torch"],
)
def test_one_openmp_runtime_whose_threads_torch_sets(imports: str) -> None:
    done = run_python(f"{imports}\n{USE_BOTH}\n{MAPPED}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 1, done.stdout


def test_backend_imports_no_torch() -> None:
    done = run_python("import sys, quantlab.backend; assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr
