"""Networks as people write them: exact in all engines, or refused in one line by name."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import quantlab
from quantlab.deploy.table import absent, engine_source, engines_named
from quantlab.errors import QuantLabError
from quantlab.integer.interpreter import execute
from quantlab.integer.operations import Convolution, Linear, Lookup, Threshold
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program
from tests.models.user_networks.cases import CASES, QUICK, Case
from tests.models.user_networks.journey import export, train
from tests.quantlab.deploy.test_qdq import Arrays, by_themselves, run_all


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in CASES],
)
def test_network(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    network = case.make()
    if case.refused is None:
        check_exact(network, case, tmp_path, engines_of(name))
    else:
        check_refused(network, case, tmp_path)


def engines_of(name: str) -> list[str]:
    """Return those of this machine: all by default and, where the compiler's time is no matter, C;
    boards have tests of their own."""
    has_c = name not in QUICK and not absent(engine_source("c").programs)
    return [*engines_named(None), *(["c"] if has_c else [])]


def check_exact(network: nn.Module, case: Case, folder: Path, backends: Sequence[str]) -> None:
    """Check that a network becomes a program that all engines compute alike, and as it does."""
    train(network, case.rules, case.raw)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        program = export(network, case.raw, folder)
    assert len(said) == (case.ending is not None), [str(warning.message) for warning in said]
    assert all("is left out of the integer program" in str(w.message) for w in said)
    raw, _ = case.raw.draw(24, seed=2)
    batch = {"input": raw.numpy()}
    comparisons = quantlab.verify(program, [batch], backends)
    assert [one.engine for one in comparisons] == backends
    assert all(one.num_values > 0 and one.num_mismatches == 0 for one in comparisons)
    (output,) = program.outputs
    scores = program.reals[output](dict(execute(program, batch))[output])
    check_fidelity(network, case, raw, program, scores)
    check_qdq(program, batch, scores)


def check_fidelity(
    network: nn.Module, case: Case, raw: Tensor, program: Program, scores: NDArray[Any]
) -> None:
    """Check that a program's numbers are about those of the network, which depend on its input.

    What a table takes is quantized once more.
    """
    with torch.no_grad():
        wanted = network(case.raw.reals(raw)).numpy()
    found = scores if case.ending is None else case.ending(torch.from_numpy(scores)).numpy()
    has_table = any(isinstance(operation, Lookup) for operation in program.operations)
    spread = wanted.std(0).mean()
    assert spread > 1e-4
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < (0.1 if has_table else 0.05) * spread


def check_qdq(program: Program, batch: Arrays, scores: NDArray[Any]) -> None:
    """Check the QDQ model, each operation by itself and its numbers in the end.

    Codes differ by a step where a number lies almost on a tie, those of 16 bits as far as the
    biases of the layers in front are rounded.
    """
    for part, operation, _, off in by_themselves(program, batch):
        if isinstance(operation, Rescale):
            layers = sum(isinstance(one, Convolution | Linear) for one in part.operations)
            levels = operation.high - operation.low
            assert off.max() <= 1 + max(layers, 1) * (0.05 + levels / 2**13), operation.output
            assert levels > 255 or (off > 0).sum() <= 0.02 * off.size + 2, operation.output
        else:
            assert off.max() <= (operation.step if isinstance(operation, Threshold) else 1)
    found = run_all(program, batch)[program.outputs[0]]
    assert np.abs(found - scores).mean() < 0.1 * scores.std(0).mean()


def check_refused(network: nn.Module, case: Case, folder: Path) -> None:
    """Check that a network is refused in a line about it, that leaves nothing behind."""
    where, message = case.refused or ("", "")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    if where == "quantize":
        with pytest.raises(QuantLabError, match=message) as caught:
            quantlab.quantize(network, case.rules)
        after = network.state_dict()
        assert list(after) == list(before)
        assert all(torch.equal(after[name], before[name]) for name in before)
    elif where == "train":
        with pytest.raises(QuantLabError, match=message) as caught:
            train(network, case.rules, case.raw)
    else:
        train(network, case.rules, case.raw)
        with pytest.raises(QuantLabError, match=message) as caught:
            export(network, case.raw, folder / "new")
    assert list(folder.iterdir()) == []
    assert "\n" not in str(caught.value)
    assert "quantlab/" not in str(caught.value)
