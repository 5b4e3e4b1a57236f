"""Programs of generated weights give the same integers on every engine."""

from collections.abc import Collection

import pytest

from quantlab.deploy.verification import verify
from quantlab.integer.lower import lower
from tests.quantlab.integer.generated_networks import CASES, SAMPLES, generated
from tests.quantlab.integer.networks import SPEC, pixels

BATCHES = [{"input": pixels(count, count).numpy()} for count in (1, 6)]


def each_case(quick: Collection[str]) -> pytest.MarkDecorator:
    cases = [
        name if name in quick else pytest.param(name, marks=pytest.mark.long) for name in CASES
    ]
    return pytest.mark.parametrize("name", cases)


@each_case(quick=("three factors", "groups", "blocks"))
def test_engines_agree(name: str) -> None:
    program = lower(generated(name), SPEC, SAMPLES)
    for comparison in verify(program, BATCHES, ["numpy", "fast", "onnx"]):
        assert comparison.num_values > 0


@each_case(quick=("three factors",))
def test_c_agrees(name: str) -> None:
    program = lower(generated(name), SPEC, SAMPLES)
    (comparison,) = verify(program, BATCHES, ["c"])
    assert comparison.num_values > 0


@pytest.mark.parametrize("backend", ["fast", pytest.param("c", marks=pytest.mark.long)])
def test_small_targets_agree(backend: str) -> None:
    program = lower(generated("three factors"), SPEC, SAMPLES, memory_bits=8, sum_bits=32)
    (comparison,) = verify(program, BATCHES, [backend])
    assert comparison.num_values > 0
