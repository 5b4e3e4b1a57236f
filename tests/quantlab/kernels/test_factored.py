"""Convolutions of real numbers and layer tables against float64, for every instruction set."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab import backend
from quantlab.backend import LayerTable, PackedConvolution, run_layers
from tests.quantlab.kernels.convolutions import Reals, random_convolution
from tests.quantlab.kernels.test_memory import guarded, needs_guard

VARIANTS = backend.kernels("factored")
PLACES = ((1, 1), (1, 1), (1, 1), 1)  # stride, padding, dilation, groups


def computed(
    table: LayerTable, inputs: list[Reals], values: list[int], **settings: Any
) -> list[Reals]:
    """Return values of a table, in arrays that are no numbers before."""
    outputs = [np.full((len(inputs[0]), *table.shape(v)), np.nan, np.float32) for v in values]
    run_layers(table, inputs, values, outputs, **settings)
    return outputs


def images(random: np.random.Generator, *shape: int) -> Reals:
    return random.standard_normal(shape).astype(np.float32)


def check_close(result: Reals, expected: Reals) -> None:
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("variant", VARIANTS)
def test_convolution(variant: str, seed: int) -> None:
    """With and without a residual and bounds; the same bits for any number of threads."""
    random = np.random.default_rng(seed)
    convolution = random_convolution(random)
    packed = convolution.packed
    size = (int(random.integers(8, 20)), int(random.integers(8, 20)))
    x = images(random, int(random.integers(1, 5)), *size, packed.num_inputs)
    expected = convolution.run(x)
    bound = float(abs(expected).max()) / 3
    table = LayerTable([(*size, packed.num_inputs)])
    bounded = table.convolution(packed, 0, low=-bound, high=2 * bound)
    values = [bounded, table.convolution(packed, 0, residual=bounded, low=0)]
    results = computed(table, [x], values, variant=variant, num_threads=1)
    first = expected.clip(-bound, 2 * bound)
    check_close(results[0], first)
    check_close(results[1], (expected + first).clip(min=0))
    for num_threads, at_once in ((1, 1), (2, 3), (4, 1)):
        again = computed(
            table, [x], values, variant=variant, num_threads=num_threads, images_at_once=at_once
        )
        for result, same in zip(results, again, strict=True):
            np.testing.assert_array_equal(result, same)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_images_of_several_strips(variant: str, seed: int) -> None:
    """The rows that two strips have in common are kept."""
    random = np.random.default_rng(seed)
    convolution = random_convolution(random)
    packed = convolution.packed
    x = images(random, 1, 900, 17, packed.num_inputs)
    table = LayerTable([x.shape[1:]])
    value = table.convolution(packed, 0)
    (result,) = computed(table, [x], [value], variant=variant)
    check_close(result, convolution.run(x))


@pytest.mark.parametrize("of_codes", [np.int8, np.int16])
@pytest.mark.parametrize("variant", VARIANTS)
def test_codes_are_their_numbers(variant: str, of_codes: type[Any]) -> None:
    """The same bits as of scale * code in float32; less is held and read."""
    random = np.random.default_rng(0)
    limits = np.iinfo(of_codes)
    shapes = ((20, 2, 3, 3), (20, 5, 2), (9, 20))
    codes = [
        random.integers(limits.min, limits.max, shape, of_codes, endpoint=True) for shape in shapes
    ]
    scales = [random.uniform(0, 0.1, n).astype(np.float32) for n in (1, 20, 9)]
    numbers = [
        s.reshape(-1, *[1] * (c.ndim - 1)) * c.astype(np.float32)
        for s, c in zip(scales, codes, strict=True)
    ]
    coded = PackedConvolution.factored(*zip(codes, scales, strict=True), None, *PLACES)
    real = PackedConvolution.factored(*numbers, None, *PLACES)
    # In blocks of 16: 20 bases, 2 x 20 of them and 9 outputs; and scales of each column.
    sizes, columns = (32 * 18, 48 * 5, 16 * 20), 32 + 48 + 16
    assert real.num_bytes == 4 * sum(sizes)
    assert coded.num_bytes == np.dtype(of_codes).itemsize * sum(sizes) + 4 * columns
    results = []
    for packed in (coded, real):
        table = LayerTable([(7, 6, 5)])
        value = table.convolution(packed, 0)
        table.convolution(packed, 0)
        assert table.num_bytes == packed.num_bytes
        assert table.num_bytes_read == 2 * packed.num_bytes
        x = images(np.random.default_rng(1), 2, 7, 6, 5)
        results.append(computed(table, [x], [value], variant=variant)[0])
    np.testing.assert_array_equal(*results)


def pooled(x: Reals, kernel: tuple[int, int], stride: tuple[int, int]) -> Reals:
    """Return windows [N, rows, columns, C, kernel]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    return windows[:, :: stride[0], :: stride[1]]


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_steps(variant: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    channels = int(random.integers(1, 40))
    kernel = (int(random.integers(1, 5)), int(random.integers(1, 5)))
    stride = (int(random.integers(1, 4)), int(random.integers(1, 4)))
    padding = (int(random.integers(0, kernel[0] // 2 + 1)), kernel[1] // 2)
    x, y = (images(random, 3, 7, 6, channels) for _ in range(2))
    table = LayerTable([x.shape[1:], y.shape[1:]])
    added = table.add(0, 1, low=-0.5, high=1.5)
    values = [
        added,
        table.max_pool(0, kernel, stride, padding),
        table.average_pool(0, kernel, stride, padding, True),
        table.average_pool(0, kernel, stride, padding, False),
        table.mean(added),
        table.concatenate([0, added, 1]),
    ]
    sides = ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0))
    wide = x.astype(np.float64)
    sums = pooled(np.pad(wide, sides), kernel, stride).sum((-2, -1))
    inside = pooled(np.pad(np.ones_like(wide), sides), kernel, stride).sum((-2, -1))
    total = (wide + y).clip(-0.5, 1.5)
    expected = [
        total,
        pooled(np.pad(wide, sides, constant_values=-np.inf), kernel, stride).max((-2, -1)),
        sums / (kernel[0] * kernel[1]),
        sums / inside,
        total.mean((1, 2), keepdims=True),
        np.concatenate([x, total, y], axis=-1),
    ]
    results = computed(table, [x, y], values, variant=variant, num_threads=2)
    for result, right in zip(results, expected, strict=True):
        check_close(result, right)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_no_number_stays_so(variant: str) -> None:
    x = np.zeros((1, 1, 40, 17), np.float32)
    x[0, 0, 33] = np.nan
    table = LayerTable([x.shape[1:]])
    packed = PackedConvolution.dense(np.ones((17, 17, 1, 1), np.float32), None, (1, 1), (0, 0),
                                     (1, 1), 1)  # fmt: skip
    values = [
        table.convolution(packed, 0, low=0, high=6),
        table.add(0, 0, low=0, high=6),
        table.max_pool(0, (1, 3), (1, 3), (0, 0)),
    ]
    results = computed(table, [x], values, variant=variant)
    for result, place in zip(results, (33, 33, 11), strict=True):
        assert np.isnan(result[0, 0, place]).all()
        assert np.isnan(result).sum() == 17


def small_network(random: np.random.Generator) -> tuple[LayerTable, list[int]]:
    """Values that live long, one read by two steps, one by none, and of several sizes."""
    table = LayerTable([(9, 8, 5)])

    def step(x: int, inputs: int, outputs: int, stride: int, residual: int | None = None) -> int:
        factors = (images(random, 20, 2, 3, 3), images(random, 20, inputs, 2))
        packed = PackedConvolution.factored(
            *factors, images(random, outputs, 20), None, (stride, stride), (1, 1), (1, 1), 1
        )
        return table.convolution(packed, x, residual, 0)

    first = step(0, 5, 17, 1)
    second = step(first, 17, 17, 1, first)
    step(second, 17, 3, 1)
    third = step(second, 17, 30, 2)
    joined = table.concatenate([third, table.max_pool(second, (2, 2), (2, 2), (1, 0))])
    return table, [second, joined, table.mean(joined)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_network_at_the_same_time(variant: str) -> None:
    """Calls from several threads, of other sizes and values, do not disturb each other."""
    random = np.random.default_rng(0)
    table, values = small_network(random)
    x = images(random, 12, 9, 8, 5)
    alone = [computed(table, [x[i : i + 1]], values, variant=variant)[2] for i in range(12)]

    def run(count: int) -> Reals:
        wanted = values[count % 2 :]
        settings = {"images_at_once": 1 + count % 5, "num_threads": 1 + count % 3}
        return computed(table, [x[:count]], wanted, variant=variant, **settings)[-1]

    with ThreadPoolExecutor(4) as pool:
        for count, result in enumerate(pool.map(run, range(13))):
            np.testing.assert_array_equal(result, np.concatenate([*alone, result[:0]])[:count])


@needs_guard
@pytest.mark.parametrize("channels", [1, 15, 16, 17, 35])
@pytest.mark.parametrize("variant", VARIANTS)
def test_touches_nothing_behind(variant: str, channels: int) -> None:
    """All arrays end where an unreadable page begins."""
    random = np.random.default_rng(channels)
    x = guarded(images(random, 2, 3, 3, channels))
    depthwise = PackedConvolution.dense(
        images(random, channels, 1, 3, 3), None, (1, 1), (1, 1), (1, 1), channels
    )
    pointwise = PackedConvolution.dense(
        images(random, channels, channels, 1, 1), None, (1, 1), (0, 0), (1, 1), 1
    )
    table = LayerTable([x.shape[1:]])
    values = [
        table.convolution(depthwise, 0),
        table.convolution(pointwise, 0, residual=0),
        table.max_pool(0, (3, 3), (1, 1), (1, 1)),
        table.average_pool(0, (3, 3), (1, 1), (1, 1), True),
        table.add(0, 0),
        table.concatenate([0, 0]),
    ]
    outputs = [guarded(np.zeros((2, *table.shape(v)), np.float32)) for v in values]
    run_layers(table, [x], values, outputs, variant=variant)
    alone = computed(table, [x.copy()], values, variant=variant)
    for output, right in zip(outputs, alone, strict=True):
        np.testing.assert_array_equal(output, right)


def test_the_roof_counts_what_it_did() -> None:
    for variant in VARIANTS:
        once = backend.peak_of_products(1, variant=variant)
        assert backend.peak_of_products(3, variant=variant) == 3 * once > 0
