"""Networks with several outputs, and with a softmax at the end of some."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.qdq import qdq_model
from quantlab.deploy.onnx.runtime import OnnxEngine
from quantlab.errors import UsageError
from quantlab.integer.fast import FastEngine
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.interpreter import run
from quantlab.integer.lower import lower, obstacles
from quantlab.integer.program import Program
from quantlab.integer.verify import compare
from tests.quantlab.deploy.test_c import check, needs_compiler
from tests.quantlab.integer.constructs import quantized
from tests.quantlab.integer.networks import SPEC, pixels, reals

pytestmark = pytest.mark.filterwarnings("ignore:.* is left out of the integer program:UserWarning")
BY_NAME: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "Softmax": lambda x: x.softmax(1),
    "LogSoftmax": lambda x: x.log_softmax(1),
}


class Detected(NamedTuple):
    scores: Tensor
    boxes: Tensor


class Heads(nn.Module):
    """A trunk and two heads; `made` says what of them is returned."""

    def __init__(self, made: Callable[["Heads", Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.made = made
        self.conv = nn.Conv2d(3, 6, 3)
        self.one, self.two = nn.Linear(6, 5), nn.Linear(6, 4)
        self.drop, self.chances = nn.Dropout(), nn.Softmax2d()

    def forward(self, x: Tensor) -> Any:
        x = functional.relu(self.conv(x))
        return self.made(self, x, x.mean((2, 3)))


RETURNED: dict[str, tuple[Callable[[Heads, Tensor, Tensor], Any], Sequence[str]]] = {
    "a tuple": (lambda h, x, y: (h.one(y), h.two(y)), ()),
    "a list": (lambda h, x, y: [h.one(y), h.two(y).relu()], ()),
    "a dict": (lambda h, x, y: {"scores": h.one(y), "boxes": h.two(y)}, ()),
    "a named tuple": (lambda h, x, y: Detected(h.one(y), boxes=h.two(y)), ()),
    "named tuples within": (
        lambda h, x, y: {"all": [Detected(h.one(y), y), h.two(y)], "none": None}, ()
    ),
    "one in a tuple": (lambda h, x, y: (h.one(y),), ()),
    "what is read too": (lambda h, x, y: (x, y, h.one(y)), ()),
    "the same twice": (lambda h, x, y: (h.one(y), h.one(y), y, y), ()),
    "twice with factors": (lambda h, x, y: (lambda z: (z, 2 * z, 4 * z, -z))(h.one(y)), ()),
    "a softmax of one": (lambda h, x, y: (h.drop(h.one(y).softmax(1)), h.two(y)), ("Softmax", "")),
    "softmaxes of all": (
        lambda h, x, y: {
            "a": functional.log_softmax(h.one(y), dim=-1), "b": torch.softmax(h.two(y), 1)
        },
        ("LogSoftmax", "Softmax"),
    ),
    "scores and their softmax": (
        lambda h, x, y: (lambda z: (z, z.log_softmax(-1)))(h.one(y)), ("", "LogSoftmax")
    ),
    "a softmax of channels": (lambda h, x, y: torch.softmax(x, dim=-3), ("Softmax",)),
    "Softmax2d": (lambda h, x, y: h.chances(x), ("Softmax",)),
    "a softmax in a named tuple": (
        lambda h, x, y: Detected(h.one(y).softmax(1), h.two(y)), ("Softmax", "")
    ),
}  # fmt: skip


def network_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    return quantized(Heads(RETURNED[name][0]))


def ended(program: Program, raw: dict[str, Any]) -> list[Tensor]:
    found = run(program, raw)
    endings = program.endings or ("",) * len(program.outputs)
    return [
        BY_NAME[ending](torch.from_numpy(program.reals[name](found[name])))
        for name, ending in zip(program.outputs, endings, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "memory_bits"),
    [
        ("named tuples within", 32),
        ("the same twice", 32),
        ("twice with factors", 32),
        ("softmaxes of all", 32),
        ("a softmax of channels", 32),
        ("what is read too", 8),
        *(pytest.param(name, 32, marks=pytest.mark.long) for name in RETURNED),
    ],
)
def test_outputs_are_those_of_the_network_in_order(name: str, memory_bits: int) -> None:
    network, raw = network_of(name), {"input": pixels(12, 2).numpy()}
    program = lower(network, SPEC, reals(pixels(32, 1)), memory_bits=memory_bits)
    assert program.endings == tuple(RETURNED[name][1])
    with torch.no_grad():
        wanted = pytree.tree_leaves(network(reals(pixels(12, 2))))
    wanted = [one for one in wanted if one is not None]
    for found, given in zip(ended(program, raw), wanted, strict=True):
        assert found.shape == given.shape
        share = 0.03 if memory_bits == 32 else 0.06
        assert (found - given).abs().mean() < share * given.std(0).mean()
    assert from_bytes(to_bytes(program), "x").endings == program.endings
    engines = {"fast": FastEngine(program), "onnx": OnnxEngine(exact_model(program), num_threads=1)}
    for comparison in compare(program, engines, [raw]):
        comparison.check()
    assert {o.name for o in qdq_model(program).graph.output} == set(program.outputs)
    assert obstacles(network) == []


def test_outputs_that_are_made_for_it_have_the_names_of_the_network() -> None:
    for name, outputs in (
        ("a dict", ("scores", "boxes")),
        ("a named tuple", ("scores", "boxes")),
        ("named tuples within", ("all_scores", "mean_flat", "all")),
    ):
        assert lower(network_of(name), SPEC, reals(pixels(32, 1))).outputs == outputs


def test_heads_share_their_trunk() -> None:
    program = lower(network_of("a tuple"), SPEC, reals(pixels(32, 1)))
    assert sum(op.layer == "conv" for op in program.operations) == 1
    assert [op.layer for op in program.operations][-2:] == ["two", "two"]


@pytest.mark.parametrize(
    "unread", [lambda h, y: h.two(y), lambda h, y: torch.erf(h.two(y)).reshape(-1)]
)
def test_what_no_output_reads_is_left_out(unread: Callable[[Heads, Tensor], Tensor]) -> None:
    """Also what no program could have."""

    def made(heads: Heads, x: Tensor, y: Tensor) -> Tensor:
        unread(heads, y)
        return heads.one(y)

    torch.manual_seed(0)
    network = quantized(Heads(made))
    assert obstacles(network) == []
    program = lower(network, SPEC, reals(pixels(32, 1)))
    assert {operation.layer for operation in program.operations} == {"conv", "relu", "mean", "one"}


def test_what_writes_into_a_tensor_is_not_left_out() -> None:
    def made(heads: Heads, x: Tensor, y: Tensor) -> Tensor:
        scores: Tensor = heads.one(y)
        scores[:, 0] = 1.0
        return scores

    network = quantized(Heads(made))
    with pytest.raises(UsageError, match=r"'fill_.*self\.made.* overwrites 'select', which"):
        lower(network, SPEC, reals(pixels(32, 1)))


@pytest.mark.long
@needs_compiler
@pytest.mark.parametrize("name", RETURNED)
def test_c_gives_all_outputs(name: str, tmp_path: Path) -> None:
    program = lower(network_of(name), SPEC, reals(pixels(32, 1)))
    check(program, {"input": pixels(2, 2).numpy()}, tmp_path)


def test_a_softmax_that_is_read_is_refused() -> None:
    made: Any = lambda h, x, y: (lambda z: (z, h.one(y) * z.mean(1, keepdim=True)))(y.softmax(1))  # noqa: E731
    with pytest.raises(UsageError, match="Softmax has no integer operation; as the last layer"):
        lower(quantized(Heads(made)), SPEC, reals(pixels(8, 1)))


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_the_axis_of_a_softmax_that_names_none_is_torchs() -> None:
    """Of three axes it is the batch."""
    for made, message in (
        (lambda h, x, y: functional.softmax(h.one(y)), ""),
        (lambda h, x, y: functional.softmax(x.flatten(2)), "Softmax has no integer operation"),
    ):
        network = quantized(Heads(made))
        if message:
            with pytest.raises(UsageError, match=message):
                lower(network, SPEC, reals(pixels(8, 1)))
        else:
            assert lower(network, SPEC, reals(pixels(8, 1))).endings == ("Softmax",)


def test_as_many_endings_as_outputs() -> None:
    program = lower(network_of("a tuple"), SPEC, reals(pixels(8, 1)))
    settings = {name: getattr(program, name) for name in ("inputs", "operations", "outputs")}
    with pytest.raises(UsageError, match="endings: 1 given, one for each of the 2 outputs"):
        Program(**settings, endings=("Softmax",))
    assert np.all([isinstance(name, str) for name in program.outputs])
