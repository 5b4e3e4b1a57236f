"""Each construct that people write is lowered, to what all engines compute, or refused by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.runtime import OnnxEngine
from quantlab.errors import UsageError
from quantlab.integer.fast import FastEngine
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.interpreter import execute
from quantlab.integer.lower import lower
from quantlab.integer.operations import Lookup
from quantlab.integer.verify import compare
from tests.quantlab.deploy.test_c import check, needs_compiler
from tests.quantlab.deploy.test_qdq import check_network, run_all
from tests.quantlab.integer.constructs import built, quantized
from tests.quantlab.integer.lowered_constructs import LOWERED
from tests.quantlab.integer.networks import SPEC, pixels, reals
from tests.quantlab.integer.refused_constructs import REFUSED

# Whose like is quick: the others of these layers, and random ones of `test_lower_convolutions`.
SLOW = frozenset((
    "Conv1d of groups", "Conv1d with a residual", "AdaptiveAvgPool1d", "MaxPool1d",
    "ConvTranspose2d", "ConvTranspose2d with outputs of the bias", "ConvTranspose2d of one step",
))  # fmt: skip
ENDINGS = {"": nn.Identity(), "Softmax": nn.Softmax(1), "LogSoftmax": nn.LogSoftmax(1)}


def check_c(name: str, folder: Path) -> None:
    """Check that C, compiled for this machine, computes every tensor as it is defined."""
    torch.manual_seed(0)
    program = lower(built(LOWERED[name]()), SPEC, reals(pixels(32, 1)))
    check(program, {"input": pixels(2, 2).numpy()}, folder)


@pytest.mark.filterwarnings("ignore:.* is left out of the integer program:UserWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long) if n in SLOW else n for n in LOWERED]
)
def test_the_program_computes_what_the_network_computes(name: str) -> None:
    """In all engines; in QDQ but for ties."""
    torch.manual_seed(0)
    network = built(LOWERED[name]())
    program = lower(network, SPEC, reals(pixels(32, 1)))
    assert not [o for o in program.operations if " at 0x" in o.layer]  # the same in each process
    raw = {"input": pixels(20, 2).numpy()}
    tensors = dict(execute(program, raw))
    (output,) = program.outputs
    found = program.reals[output](tensors[output])
    with torch.no_grad():
        wanted = network(reals(torch.from_numpy(raw["input"]))).numpy()
    (ending,) = program.endings or ("",)
    assert ending.lower() == name.lower().replace("_", "") * ("softmax" in name.lower())
    found = ENDINGS[ending](torch.from_numpy(found)).numpy()
    has_table = any(isinstance(operation, Lookup) for operation in program.operations)
    share = 0.1 if has_table else 0.02  # what a table takes is quantized once more
    assert np.abs(found - wanted).mean() < share * wanted.std(0).mean()

    engines = {"fast": FastEngine(program), "onnx": OnnxEngine(exact_model(program), num_threads=1)}
    for comparison in compare(program, engines, [raw]):
        comparison.check()
    check_network(program, tensors, run_all(program, raw))


@needs_compiler
def test_c_computes_one_of_them(tmp_path: Path) -> None:
    check_c("ConvTranspose1d", tmp_path)


@pytest.mark.long
@needs_compiler
@pytest.mark.filterwarnings("ignore:.* is left out of the integer program:UserWarning")
@pytest.mark.parametrize("name", LOWERED)
def test_c_computes_all_of_them(name: str, tmp_path: Path) -> None:
    check_c(name, tmp_path)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_lowered_is_named_in_one_line(name: str) -> None:
    make, message = REFUSED[name]
    torch.manual_seed(0)
    with pytest.raises(UsageError, match=message) as caught:
        lower(quantized(make()), SPEC, reals(pixels(8, 1)))
    text = str(caught.value)
    assert "\n" not in text
    assert "integer/lower" not in text
    assert ("called in " in text) <= ("constructs.py" in text)


def test_a_softmax_that_is_left_out_is_said_and_in_the_file() -> None:
    torch.manual_seed(0)
    network = built(LOWERED["log_softmax"]())
    message = "^log_softmax: LogSoftmax is left out of .*, whose outputs are the scores before it"
    with pytest.warns(UserWarning, match=message):
        program = lower(network, SPEC)
    assert from_bytes(to_bytes(program), "x").endings == ("LogSoftmax",)
    with pytest.raises(UsageError, match=r"ending 'LogSoftMax' given, .* did you mean 'LogSoftm"):
        replace(program, endings=("LogSoftMax",))
