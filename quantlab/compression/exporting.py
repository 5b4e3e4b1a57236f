"""A network as C on the way: how many bytes it takes at this moment."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.conversion.calibration import exactly, input_rules
from quantlab.deploy.c.footprint import Footprint, footprint
from quantlab.deploy.c.model import Model, c_model
from quantlab.deploy.c.sizes import Sizes
from quantlab.graphs.select import quantizable_layers
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program
from quantlab.integer.short import shortened

_BATCH = 128
_MOST_BITS = 8
_FEW = 64
_DENSE = "dense"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A network as C. encoding: of its weights. footprint: of its objects."""

    program: Program
    model: Model
    encoding: str
    footprint: Footprint

    @property
    def flash(self) -> int:
        """All bytes of the objects."""
        return self.footprint.total

    @property
    def sizes(self) -> Sizes:
        """What is known without a compiler."""
        return self.model.sizes


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """From networks to C, on the CPU. samples: `[N, ...]` that ranges are read off. command: the
    compiler with its settings. encodings: of C, that are tried. ram: the most bytes of memory."""

    spec: InputSpec
    samples: Tensor
    command: Sequence[str]
    encodings: Sequence[str]
    ram: int | None = None

    @property
    def quick(self) -> "Exporter":
        """The same with few samples: ranges change hardly any byte."""
        return replace(self, samples=self.samples[:_FEW])

    def quantized(self, network: nn.Module, bits: Mapping[str, int]) -> nn.Module:
        """Return a copy with quantizers, calibrated. bits: of the weights of layers, else 8."""
        made = copy.deepcopy(network).cpu().eval()
        rules = [
            {
                "select": exactly(name),
                "on": "weight",
                "algorithm": {
                    "kind": "lsq",
                    "num_bits": bits.get(name, _MOST_BITS),
                    "narrow": True,
                    "weight_range": "mse",
                },
            }
            for name in quantizable_layers(made)
        ]
        quantize(made, rules)
        calibrate(made, [self.samples[:1]])
        inputs = list(input_rules(made, _MOST_BITS))
        if inputs:
            quantize(made, inputs)
            calibrate(made, self.samples.split(_BATCH))
        return made

    def program(self, network: nn.Module) -> Program:
        """Return a network with quantizers as a program of short constants. Raises UsageError."""
        return shortened(lower(network, self.spec, self.samples, memory_bits=8))

    def export(self, network: nn.Module) -> Exported:
        """Return a network with quantizers as C, in the encoding whose objects are smallest, of
        those that fit in memory: windows of sparse layers take more of it than those of dense ones.

        Raises UsageError.
        """
        program = self.program(network)
        models, running = {}, {}
        with ThreadPoolExecutor(len(self.encodings)) as compilers:  # while the next is written
            for name, model in self._fitting(program):
                models[name] = model
                running[name] = compilers.submit(footprint, model.files, self.command)
        footprints = {name: one.result() for name, one in running.items()}
        encoding = min(footprints, key=lambda name: footprints[name].total)
        return Exported(
            program=program,
            model=models[encoding],
            encoding=encoding,
            footprint=footprints[encoding],
        )

    def _fitting(self, program: Program) -> Iterator[tuple[str, Model]]:
        """Yield the models that fit in memory, by encoding; if none does, the dense one, if that
        takes less."""
        most = math.inf if self.ram is None else self.ram
        beyond, names = {}, dict.fromkeys(self.encodings)
        for name in names:
            model = c_model(program, name)
            if model.sizes.ram <= most:
                yield name, model
            else:
                beyond[name] = model
        if beyond.keys() == names.keys():
            least = {**beyond, _DENSE: c_model(program, _DENSE)}
            name = min(least, key=lambda one: least[one].sizes.ram)
            yield name, least[name]
