"""A network as a graph, with its quantizers on the edges, ends as the network itself does."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import (
    AdaRoundSettings,
    adaround,
    calibrate,
    correct_biases,
    float_copy,
)
from quantlab.graphs.quantizers import expose_quantizers
from quantlab.graphs.trace import trace

W3: dict[str, Any] = {"kind": "ste", "num_bits": 3}


def finish(network: nn.Module, batches: list[Tensor]) -> dict[str, Tensor]:
    """Do all that is done after training."""
    calibrate(network, batches)
    reference = float_copy(network)
    settings = AdaRoundSettings(num_steps=20)
    adaround(network, batches, generator=torch.Generator().manual_seed(0), settings=settings)
    correct_biases(network, batches, reference=reference)
    return network.state_dict()


def test_traced_and_with_quantizers_on_edges(trained, rules, capfd) -> None:
    both = rules(("*", "weight", W3), ("*", "input", W3), ("last", "output", W3))
    plain = copy.deepcopy(trained.network)
    quantize(plain, both)
    traced = trace(copy.deepcopy(trained.network))
    quantize(traced, both)
    exposed = trace(copy.deepcopy(plain))
    expose_quantizers(exposed)
    wanted = finish(plain, trained.batches)
    for network in (traced, exposed):
        found = finish(network, trained.batches)
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert torch.equal(found[name], value), name
        assert torch.equal(network(trained.inputs), plain(trained.inputs))
    # Passes that end early are no errors.
    assert capfd.readouterr().err == ""
