"""Whether a run can be deployed, as far as that can be told before it trains."""

import warnings

import torch
from torch import Tensor, nn

from experiments.deployment.program import program_of
from experiments.deployment.samples import raw_samples
from experiments.library import Library
from experiments.protocols import Data
from quantlab.algorithms.after_training import calibrate
from quantlab.algorithms.partial import PartialQuantizer
from quantlab.errors import QuantLabError
from quantlab.graphs.leaves import EDGE_SLOTS
from quantlab.quantizer import Quantizer

_NUM_SAMPLES = 2


def obstacle(network: nn.Module, library: Library, data: Data) -> str | None:
    """Return why no integer program can be made of a network once it is trained; None if nothing is
    known to be in the way.

    network: of a run that has not begun, on the CPU, to be thrown away: its quantizers are started
        on two samples, and it is lowered.
    """
    if not any(isinstance(module, Quantizer) for module in network.modules()):
        return "it has no quantizers; quantize.rules sets them"
    for module in network.modules():
        if isinstance(module, PartialQuantizer):
            module.mask.fill_(True)
    try:
        samples, _ = raw_samples(data.train, library, _NUM_SAMPLES)
        kind = next(network.parameters()).dtype
        inputs = library.preprocess.evaluate(samples).to(kind)
        _leave_out_idle(network, inputs)
        calibrate(network, [inputs])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of what is no obstacle
            program_of(network.eval(), library, data, num_samples=_NUM_SAMPLES)
    except QuantLabError as error:
        return str(error)
    except Exception as error:  # whatever it is, the run may train
        first, *_ = (str(error) or type(error).__name__).splitlines()
        return first
    return None


def _leave_out_idle(network: nn.Module, inputs: Tensor) -> None:
    """Remove the quantizers of inputs and outputs that evaluation does not run, as those of a head
    for training alone: an integer program has no such layer."""
    with torch.no_grad():
        network.eval()(inputs)
    for module in network.modules():
        for slot in EDGE_SLOTS:
            quantizer = module._modules.get(slot)
            if isinstance(quantizer, Quantizer) and not quantizer.has_run:
                module._modules[slot] = None
