"""What holds for every program and every network: all engines give the integers of the oracle, and
these lie within what was proven."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from quantlab.algorithms.after_training import calibrate
from quantlab.deploy.table import ARTEFACTS, engine_source, engines, engines_named
from quantlab.errors import UsageError
from quantlab.integer.file import to_bytes
from quantlab.integer.interpreter import execute
from quantlab.integer.lower import lower
from quantlab.integer.operations import (
    OPERATIONS,
    AdaptiveSumPool,
    Convolution,
    MaxPool,
    Requantize,
    SumPool,
    Windows,
)
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType
from quantlab.integer.verify import Engine
from quantlab.quantizer import Quantizer
from tests.quantlab.integer.networks import SPEC, reals
from tests.quantlab.integer.oracle import evaluate
from tests.quantlab.integer.programs import NEVER_LOWERED, Author, inputs
from tests.quantlab.integer.random_networks import (
    Both,
    Case,
    Chain,
    Shallow,
    calibrated,
    cases,
    shallow_cases,
)

# torch may copy an image that it pads on one side more than on the other, and says so once.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")

# All reasons to refuse a network of layers that have operations, as docs/integer.md has them: too
# many bits, and what `multipliers.choose` cannot express.
REFUSALS = (
    r"^layer '.*': \w+ '.*' needs an accumulator of \d+ bits, 32 allowed",
    r"^layer '.*': a factor of .* given, at most 2\^31 and 2\^(62|30) allowed; the range of",
    r"^layer '.*': numbers of up to .* to rescale given, at most 2\^26 allowed with sum_bits 32",
    r"codes from -?\d+ to -?\d+ given, \d+ bits allowed with memory_bits \d+; fewer bits",
)

# Few examples, without looking for the simplest; the many of a long test are made simple.
SOME = settings(
    max_examples=25, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)
MANY = settings(max_examples=300, deadline=None, report_multiple_bugs=False)


def opened(program: Program, folder: Path) -> Iterator[tuple[str, Engine]]:
    """Yield every engine of the table whose packages are installed."""
    parts = {"network": program}
    for name in engines_named(None):
        for path, data in ARTEFACTS[engines()[name]].files(parts, {}).items():
            (folder / path).write_bytes(data)
        yield name, engine_source(name).open(parts, folder)


def check(program: Program, batch: Mapping[str, NDArray[Any]]) -> None:
    """Compare all engines on all tensors with the oracle, and the oracle with the proofs."""
    expected = evaluate(program, batch)
    for name, bound in program.bounds.items():
        assert np.all((bound.low <= expected[name]) & (expected[name] <= bound.high)), name
    with TemporaryDirectory() as folder:
        ran = {name: dict(engine.execute(batch)) for name, engine in opened(program, Path(folder))}
    for engine, found in ran.items():
        assert set(found) == {operation.output for operation in program.operations}
        for name, tensor in found.items():
            assert tensor.dtype == program.types[name].kind.dtype, (engine, name)
            np.testing.assert_array_equal(tensor, expected[name], f"{engine}, tensor '{name}'")


def sum_bits(program: Program) -> int:
    """Return the bits of the largest sum that is rescaled."""
    made = [o.output for o in program.operations if isinstance(o, Rescale)]
    return max((program.bounds[name].num_bits for name in made), default=0)


def outliving(program: Program) -> dict[str, int]:
    """Return the bits of each tensor that outlives the layer that makes it: which something else
    than the next operation reads, or which are codes."""
    found = {}
    for position, operation in enumerate(program.operations):
        name, kind = operation.output, program.types[operation.output].kind
        readers = [i for i, o in enumerate(program.operations) if name in o.inputs]
        is_in_passing = readers == [position + 1] and kind == S32
        if not is_in_passing and name not in program.outputs:
            found[name] = kind.num_bits
    return found


def lowered(case: Case) -> Program:
    return lower(
        case.network,
        case.spec,
        case.samples,
        threshold_levels=case.threshold_levels,
        memory_bits=case.memory_bits,
        sum_bits=case.sum_bits,
    )


def check_case(case: Case) -> set[str]:
    """Return which operations the network became, none if it was refused.

    Other errors, and refusals for other reasons, are passed on.
    """
    try:
        program = lowered(case)
    except UsageError as error:
        if not any(re.search(reason, str(error)) for reason in REFUSALS):
            raise
        return set()
    assert to_bytes(lowered(case)) == to_bytes(program)
    check(program, {"input": case.images.numpy()})
    assert sum_bits(program) <= case.sum_bits
    assert max(outliving(program).values(), default=0) <= case.memory_bits
    return {type(operation).__name__ for operation in program.operations}


PROGRAMS = {"seed": st.integers(0, 2**32 - 1), "size": st.integers(1, 12)}


def check_program(seed: int, size: int) -> None:
    program = Author(seed).program(size)
    check(program, inputs(program, 2, seed))


@SOME
@given(**PROGRAMS)
def test_some_random_programs(seed: int, size: int) -> None:
    check_program(seed, size)


@pytest.mark.long
@MANY
@given(**PROGRAMS)
def test_many_random_programs(seed: int, size: int) -> None:
    check_program(seed, size)


@st.composite
def windowed(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Program:
    """One operation with windows of every kind; none lies beyond the border wholly."""
    cls = draw(st.sampled_from([Convolution, MaxPool, SumPool]))
    kinds = (U8, S8, S16, S32) if cls is MaxPool else (U8, S8, S16)
    shape = (2, draw(st.integers(5, 8)), draw(st.integers(5, 8)))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    padding = [
        draw(st.integers(0, k - 1 if step == 1 else 0))
        for k, step in zip((*kernel, *kernel), (*dilation, *dilation), strict=True)
    ]
    windows = Windows(
        kernel=kernel,
        stride=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        padding=(padding[0], padding[1], padding[2], padding[3]),
        dilation=dilation,
        ceil_mode=draw(st.booleans()),
    )
    given_type = TensorType(shape, draw(st.sampled_from(kinds)))
    made: dict[str, Any] = {"windows": windows, "inputs": ("x",), "output": "y"}
    if cls is SumPool:
        made["padding_code"] = draw(st.integers(0, 5))
    if cls is Convolution:
        random = np.random.default_rng(draw(st.integers(0, 99)))
        made |= {
            "weight": random.integers(-128, 128, (4, 1, *kernel)).astype(np.int8),
            "weight_bits": 8,
            "bias": random.integers(-99, 99, 4).astype(np.int32),
            "padding_codes": random.integers(0, 9, 2).astype(np.int32),
            "groups": 2,
        }
    return Program(inputs={"x": given_type}, operations=(cls(**made),), outputs=("y",))


@SOME
@given(program=windowed(), seed=st.integers(0, 99))
def test_windows_of_every_kind(program: Program, seed: int) -> None:
    (given_type,) = program.inputs.values()
    kind = given_type.kind
    shape, random = (3, *given_type.shape), np.random.default_rng(seed)
    x = random.integers(kind.minimum, kind.maximum + 1, shape, dtype=kind.dtype)
    x[0], x[1] = kind.minimum, kind.maximum
    check(program, {"x": x})


def test_some_random_networks() -> None:
    used: set[str] = set()

    @settings(SOME, max_examples=40)  # until each operation is one of a network's
    @given(case=cases())
    def explore(case: Case) -> None:
        used.update(check_case(case))

    explore()
    assert used == set(OPERATIONS) - NEVER_LOWERED


@pytest.mark.long
@MANY
@given(case=cases())
def test_many_random_networks(case: Case) -> None:
    check_case(case)


WEIGHTS = {"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 8}}
TERNARY = {"select": "*", "on": "weight", "algorithm": {"kind": "twn"}}
BINARY = {"select": "!first", "on": "input", "algorithm": {"kind": "binary"}}


def on_inputs(select: str, num_bits: int) -> dict[str, Any]:
    algorithm = {"kind": "lsq", "num_bits": num_bits, "signed": num_bits > 1}
    return {"select": select, "on": "input", "algorithm": algorithm}


def conv(num_inputs: int, num_outputs: int) -> nn.Module:
    return nn.Conv2d(num_inputs, num_outputs, 1)


def doubled() -> nn.Module:
    return Both("add", conv(3, 3), conv(3, 3))


CORNERS: dict[str, tuple[Callable[[], list[nn.Module]], list[dict[str, Any]]]] = {
    "the first input quantized": (lambda: [conv(3, 4)], [WEIGHTS, on_inputs("*", 8)]),
    "an average of the raw image": (lambda: [nn.AvgPool2d(2), conv(3, 4)], [WEIGHTS]),
    "an adaptive average of it": (lambda: [nn.AdaptiveAvgPool2d(4), conv(3, 4)], [WEIGHTS]),
    "a table of it": (lambda: [nn.Sigmoid(), conv(3, 4)], [WEIGHTS]),
    "a product of it": (
        lambda: [Both("multiply", nn.Identity(), nn.Identity()), conv(3, 4)],
        [WEIGHTS],
    ),
    "a sum in one bit": (lambda: [doubled(), conv(3, 4)], [WEIGHTS, BINARY]),
    "few levels of an average by place": (
        lambda: [conv(3, 4), nn.AvgPool2d(3, 2, 1, count_include_pad=False), conv(4, 4)],
        [WEIGHTS, on_inputs("!first", 2)],
    ),
}


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name: str) -> None:
    make, rules = CORNERS[name]
    check_case(calibrated(nn.Sequential(*make()), SPEC, rules, is_odd=False))


@pytest.mark.parametrize(
    ("rest", "weight", "bias"),
    [
        ([], 0.0, 0.0),  # no weight left
        ([], [-1.0, -1.0, 0.0], 0.0),
        ([nn.ReLU6(), nn.BatchNorm2d(1)], 1.0, -1000.0),  # always zero before the batch norm
    ],
)
def test_dead_layers(rest: list[nn.Module], weight: Any, bias: float) -> None:
    network = nn.Sequential(conv(3, 1), *rest)
    case = calibrated(network, SPEC, [TERNARY], is_odd=False)
    layer = network.get_submodule("0")
    with torch.no_grad():
        layer.get_parameter("weight").copy_(torch.as_tensor(weight).view(-1, 1, 1).expand(3, 1, 1))
        layer.get_parameter("bias").fill_(bias)
    calibrate(network, [case.samples])
    check_case(case)


def test_a_sum_over_windows_of_several_sizes_has_the_bound_of_the_smallest() -> None:
    program = Program(
        inputs={"x": TensorType((1, 1, 5), U8)},
        operations=(
            Requantize(
                inputs=("x",), output="r", multiplier=np.array(0, np.int32), offset=np.array(5),
                shift=np.array(0), low=0, high=9, kind=U8,
            ),
            AdaptiveSumPool(inputs=("r",), output="y", size=(1, 3)),
        ),
        outputs=("y",),
    )  # fmt: skip
    check(program, {"x": np.zeros((2, 1, 1, 5), np.uint8)})


def check_shallow(shallow: Shallow) -> None:
    """Between the two quantizers all is affine, a maximum or a sum, so that codes may differ from
    what the network makes of the first ones near a tie only, and scores are what the last layer
    makes of the program's codes. The first ones may differ near a tie themselves, for an image
    whose channels have scales of their own is rounded before.
    """
    case, last = shallow.case, shallow.last
    program = lowered(case)
    tensors = dict(execute(program, {"input": case.images.numpy()}))
    first, middle = (case.network.get_submodule(name) for name in ("first", "middle"))
    before = first.get_submodule("output_quantizer")
    quantizer = last.get_submodule("input_quantizer")
    assert isinstance(before, Quantizer)
    assert isinstance(quantizer, Quantizer)
    made = [o.output for o in program.operations if o.layer == "first"][1]
    first_codes = torch.from_numpy(tensors[made].astype(np.int64))
    with torch.no_grad():
        itself = before.codes(first(reals(case.images, case.spec)))
        seen = middle(before.dequantize(first_codes).double())
    assert (first_codes - itself).abs().max() <= 1
    wanted = quantizer.codes(seen).numpy().astype(np.int64)
    layers = [o for o in program.operations if isinstance(o, Convolution)]
    name = layers[-1].inputs[0]
    codes = tensors[name].astype(np.int64)
    differs = codes != wanted
    assert np.abs(codes - wanted).max() <= 1
    steps = (seen / quantizer.scale.detach()).numpy()
    assert np.all(np.abs(steps - np.floor(steps) - 0.5)[differs] < 1e-3)

    with torch.no_grad():
        scores = last(quantizer.dequantize(torch.from_numpy(codes)).double()).numpy()
    (output,) = program.outputs
    found = program.reals[output](tensors[output])
    np.testing.assert_allclose(found, scores, rtol=1e-6, atol=1e-6 * np.abs(scores).max())


@SOME
@given(shallow=shallow_cases())
def test_some_shallow_networks_compute_what_the_network_computes(shallow: Shallow) -> None:
    check_shallow(shallow)


@pytest.mark.long
@MANY
@given(shallow=shallow_cases())
def test_many_shallow_networks_compute_what_the_network_computes(shallow: Shallow) -> None:
    check_shallow(shallow)


def test_few_levels_of_an_average_by_place_are_the_networks() -> None:
    """As many places as channels, so that one may be taken for the other."""
    average = nn.AvgPool2d(3, 3, 1, count_include_pad=False)
    network = Chain(nn.Conv2d(3, 9, 1), average, nn.Conv2d(9, 5, 1))
    output = {"select": "first", "on": "output", "algorithm": {"kind": "ste", "num_bits": 8}}
    rules = [WEIGHTS, output, on_inputs("last", 2)]
    check_shallow(Shallow(case=calibrated(network, SPEC, rules, is_odd=False)))
