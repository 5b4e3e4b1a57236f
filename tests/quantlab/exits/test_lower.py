"""Lowering networks with exits: the same exits as the network takes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.conversion.calibration import quantized_copy
from quantlab.errors import UsageError
from quantlab.exits.interpreter import exit_scores, margins, run
from quantlab.exits.lower import lower_exits
from quantlab.exits.module import EarlyExit
from quantlab.exits.program import NEVER
from tests.quantlab.exits.networks import SPEC, codes, float_network, images, network, program


def test_the_trunk_is_there_once() -> None:
    layers = [o.layer for o in program().program.operations if type(o).__name__ == "Convolution"]
    assert layers == ["segments.0.0", "segments.1.0"]
    assert program().thresholds == (NEVER, NEVER)


@torch.no_grad()
def test_a_program_takes_the_exits_of_its_network() -> None:
    made, x = network(), codes(64)
    gaps = [np.median(margins(one)) for one in exit_scores(program(), x)]
    reals = program().program.reals
    wanted = [
        float(gap * reals[name].scale.reshape(-1)[0])
        for gap, name in zip(gaps[:2], program().scores, strict=False)
    ]
    given = EarlyExit(list(made.segments), list(made.heads), margins=wanted).eval()
    lowered = lower_exits(given, SPEC, images(64), memory_bits=8)
    np.testing.assert_allclose(lowered.margins(), wanted, rtol=1e-5)
    found, expected = run(lowered, x), given(images(64))
    assert set(found.exits) == {0, 1, 2}
    assert (found.exits == expected.exits.numpy()).mean() > 0.9


def test_networks_with_exits_are_quantized_after_training_as_any_other() -> None:
    made = quantized_copy(float_network(margins=[0.0, float("inf")]), images(8), most_bits=8)
    assert isinstance(made, EarlyExit)
    assert lower_exits(made, SPEC, images(8), memory_bits=8).thresholds == (0, NEVER)


def test_what_is_no_network_with_exits_is_refused() -> None:
    anything: Any = nn.ReLU()
    with pytest.raises(UsageError, match=r"^network: a ReLU given, an EarlyExit allowed"):
        lower_exits(anything, SPEC)
