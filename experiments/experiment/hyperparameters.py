"""What TensorBoard's HPARAMS shows of a run: what it is, in a few words, then its settings.

HPARAMS sorts by name, what differs between the runs first; the digits put the few words on top.
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from experiments.experiment.config import Config, as_plain
from quantlab.generation.layers import FACTORS
from quantlab.quantizer import Quantizer

_LETTERS = {
    "weight_quantizer": "w",
    **{f"{factor}_quantizer": "w" for factor in FACTORS},
    "input_quantizer": "a",
    "output_quantizer": "a",
}
_WITHOUT_EFFECT = ("checkpoint", "monitor")  # on the network that is trained


def hyperparameters(
    config: Config, topology: str, network: nn.Module, learning_rate: float
) -> dict[str, Any]:
    """Return a run's words and settings, nested as in the configuration.

    learning_rate: that of the optimizer, before any schedule.
    """
    settings = {name: v for name, v in as_plain(config).items() if name not in _WITHOUT_EFFECT}
    del settings["experiment"]["name"]
    settings["training"]["optimizer"]["params"].pop("lr", None)
    kinds = dict.fromkeys(str(rule.algorithm.kind) for rule in config.quantize.rules)
    words = {
        "1 name": config.experiment.name,
        "2 topology": topology,
        "3 algorithm": ", ".join(kinds) or "none",
        "4 bits": " ".join(_bits(network)) or config.training.precision,
        "5 learning rate": learning_rate,
    }
    return {**words, **settings}


def _bits(network: nn.Module) -> Iterator[str]:
    """Yield the bits of weights, or of their factors, and of activations: `w4`, `a4,8`."""
    bits: dict[str, set[int]] = {}
    for name, module in network.named_modules():
        letter = _LETTERS.get(name.rpartition(".")[2])
        if letter is not None and isinstance(module, Quantizer):
            bits.setdefault(letter, set()).add(module.spec.num_bits)
    for letter in sorted(bits, reverse=True):
        yield letter + ",".join(map(str, sorted(bits[letter])))
