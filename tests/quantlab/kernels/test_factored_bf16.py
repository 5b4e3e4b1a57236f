"""Layer tables in bfloat16: the tiles of AMX where the processor has them, and their slow twin."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab import backend
from quantlab.backend import LayerTable, PackedConvolution
from tests.quantlab.kernels.convolutions import Reals, random_convolution
from tests.quantlab.kernels.test_factored import computed, images
from tests.quantlab.kernels.test_memory import guarded, needs_guard

VARIANTS = backend.kernels("factored_bf16")


def rounded(numbers: Reals) -> Reals:
    """Return numbers with 8 bits of mantissa, ties to even."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def error(result: Reals, expected: Reals) -> float:
    return float(abs(result - expected).max() / abs(expected).max())


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("variant", VARIANTS)
def test_convolution(variant: str, seed: int) -> None:
    """Near float64, and the same bits for any number of threads."""
    random = np.random.default_rng(seed)
    convolution = random_convolution(random)
    size = (int(random.integers(8, 20)), int(random.integers(8, 40)))
    x = images(random, int(random.integers(1, 4)), *size, convolution.packed.num_inputs)
    table = LayerTable([x.shape[1:]])
    first = table.convolution(convolution.packed, 0)
    values = [first, table.convolution(convolution.packed, 0, residual=first, low=0)]
    expected = convolution.run(x)
    run: dict[str, Any] = {"precision": "bfloat16", "variant": variant}
    results = computed(table, [x], values, num_threads=1, **run)
    assert error(results[0], expected) < 0.02
    assert abs(results[1] - (2 * expected).clip(min=0)).max() < 0.04 * abs(expected).max()
    for num_threads, at_once in ((2, 3), (4, 1)):
        again = computed(table, [x], values, num_threads=num_threads, images_at_once=at_once, **run)
        for result, same in zip(results, again, strict=True):
            np.testing.assert_array_equal(result, same)


@pytest.mark.parametrize("outputs", [1, 16, 40, 96, 100])
@pytest.mark.parametrize("inputs", [1, 31, 64, 130, 1500])
@pytest.mark.parametrize("variant", VARIANTS)
def test_only_factors_are_rounded(variant: str, inputs: int, outputs: int) -> None:
    random = np.random.default_rng(inputs + outputs)
    x, weight = images(random, 2, 3, 11, inputs), images(random, outputs, inputs, 1, 1)
    packed = PackedConvolution.dense(weight, None, (1, 1), (0, 0), (1, 1), 1)
    table = LayerTable([x.shape[1:]])
    value = table.convolution(packed, 0)
    (result,) = computed(table, [x], [value], precision="bfloat16", variant=variant)
    exact = rounded(x).astype(np.float64) @ rounded(weight)[:, :, 0, 0].T
    assert error(result, exact) < 1e-5


@needs_guard
@pytest.mark.parametrize("channels", [1, 15, 17, 33])
@pytest.mark.parametrize("variant", VARIANTS)
def test_touches_nothing_behind(variant: str, channels: int) -> None:
    random = np.random.default_rng(channels)
    x = guarded(images(random, 1, 3, 3, channels))
    weight = images(random, channels, channels, 1, 1)
    table = LayerTable([x.shape[1:]])
    packed = PackedConvolution.dense(weight, None, (1, 1), (0, 0), (1, 1), 1)
    value = table.convolution(packed, 0, residual=0)
    out = guarded(np.zeros((1, *table.shape(value)), np.float32))
    backend.run_layers(table, [x], [value], [out], precision="bfloat16", variant=variant)
    (alone,) = computed(table, [x.copy()], [value], precision="bfloat16", variant=variant)
    np.testing.assert_array_equal(out, alone)


def test_it_is_chosen_by_name_alone() -> None:
    """Products in float32 are the default, whatever the processor has."""
    assert "amx_bf16" not in backend.kernels("factored")
    assert VARIANTS[1:] == tuple(i for i in backend.supported_isas() if i == "amx_bf16")
