"""A network compiled for inference.

    network -> trace -> steps, batch norms folded -> a mode for each layer -> tables and layers

What is compiled owns the codes of its weights and shares nothing with the network that it was made
of: to train on, train the network and compile it again.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import getitem
from typing import Any, Self

import torch
from torch import Tensor, fx, nn

from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.generation.execution.arrange import arrange
from quantlab.generation.execution.choice import (
    Asked,
    Seconds,
    asked_modes,
    fastest,
    measured_modes,
)
from quantlab.generation.execution.find_steps import find_steps
from quantlab.generation.execution.lay_out import lay_out
from quantlab.generation.execution.mode import ExecutionMode
from quantlab.generation.execution.one_layer import OneLayer
from quantlab.generation.execution.report import InferenceReport, LayerRow
from quantlab.generation.execution.steps import Convolve, Step
from quantlab.generation.execution.table import PRECISIONS, Precision, Table
from quantlab.generation.execution.weight_bytes import WeightBytes
from quantlab.graphs.check_overwrites import check_overwrites
from quantlab.graphs.overwrites import keep_inputs
from quantlab.graphs.paths import module_of, origin
from quantlab.graphs.quantizers import expose_quantizers
from quantlab.graphs.replace import has_hooks
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.trace import trace
from quantlab.numerics.digest import weights_sha256


class InferenceNetwork(nn.Module):
    """Computes what a network computes in evaluation, from codes; made by `compile_for_inference`.

    Takes images `[N, ...]` of the example's size, float32 on the CPU; `channels_last` ones without
    a copy. Gradients are not computed. report: the mode and bytes of each layer. made_from: SHA-256
    of the network's weights; see `check_made_from`.
    """

    def __init__(
        self, body: nn.Module, shape: tuple[int, ...], report: InferenceReport, made_from: str
    ) -> None:
        super().__init__()
        self.body, self.report, self.made_from = body, report, made_from
        self._shape = shape
        self.eval()

    def forward(self, x: Tensor) -> Any:
        self._check(x)
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return self.body(x)

    def check_made_from(self, network: nn.Module) -> None:
        """Raise UsageError if a network has other weights than the one that was compiled."""
        check_kind("network", network, nn.Module, "a torch.nn.Module")
        now = weights_sha256(network.state_dict())
        if now != self.made_from:
            raise UsageError(
                f"network: weights of SHA-256 {now[:16]} given, compiled were those of "
                f"{self.made_from[:16]}; compile it again"
            )

    def train(self, mode: bool = True) -> Self:
        if mode:
            raise UsageError(
                "train: a network compiled for inference given, which has no parameters; train the "
                "one that it was made of and compile it again"
            )
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        moved = fn(torch.empty(0, dtype=torch.float32))
        if moved.dtype != torch.float32 or moved.device.type != "cpu":
            raise UsageError(
                f"to: {moved.dtype} on {moved.device} given for a network compiled for inference, "
                "torch.float32 on cpu allowed"
            )
        nn.Module._apply(self, fn, recurse)
        return self

    def _check(self, x: object) -> None:
        if torch._C._get_tracing_state() is not None:
            raise UsageError(
                "torch.jit.trace: a network compiled for inference given, of whose kernels it "
                "records nothing; main.py export writes ONNX of integer programs"
            )
        check_kind("x", x, Tensor, "a tensor")
        assert isinstance(x, Tensor)
        if x.ndim != len(self._shape) + 1 or tuple(x.shape[1:]) != self._shape or not len(x):
            allowed = ", ".join(map(str, self._shape))
            raise UsageError(f"x: a shape of {list(x.shape)} given, [N, {allowed}] allowed")
        if x.dtype != torch.float32 or x.device.type != "cpu":
            raise UsageError(f"x: {x.dtype} on {x.device} given, torch.float32 on cpu allowed")
        if x.requires_grad and torch.is_grad_enabled():
            raise UsageError(
                "x: a tensor that requires a gradient given, but a network compiled for inference "
                "computes none; call it within torch.no_grad()"
            )


def compile_for_inference(
    network: nn.Module, example: Tensor, *, mode: Asked = "auto", precision: Precision = "float32"
) -> InferenceNetwork:
    """Return a network that computes what another one does in evaluation, faster.

    Batch norms are folded, biases, residuals and ReLU fused. Whatever has no faster form runs as it
    did, quantizers of inputs and outputs among them; `report.others` names it.

    network: of one input and any layers, generated ones or not; it stays as it is.
    example: a batch `[N, ...]` of the images to come, on which modes are measured.
    mode: `auto` for the fastest of each layer; `generated`, `two_stage`, `factored` or `fused` for
        all, where dense layers without it run as they are; or modes by selector, such as
        `{"*": "fused", "layer4*": "auto"}`, of which the last one about a layer counts.

    precision: of the products of fused layers; `bfloat16` is off by some thousandths of the largest
        number, and faster where the processor has AMX.

    Raises UsageError for a network that cannot be traced or whose weights are not float32 on the
    CPU, and for a mode that a layer does not have.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    if isinstance(network, InferenceNetwork):
        raise UsageError(
            "network: a network compiled for inference given; compile the one that it was made of"
        )
    if has_hooks(network):
        raise UsageError(
            "network: a hook of its own given, which its graph has not; hooks of its layers, or of "
            "the network within nn.Sequential(network), run"
        )
    check_kind("example", example, Tensor, "a tensor")
    if precision not in PRECISIONS:
        hint = did_you_mean(str(precision), PRECISIONS)
        raise UsageError(f"precision: {precision!r} given, {', '.join(PRECISIONS)} allowed{hint}")
    _check_weights(network)
    with torch.autocast("cpu", enabled=False):
        gm = trace(copy.deepcopy(network).eval(), example)
        check_overwrites(gm)
        keep_inputs(gm)
        expose_quantizers(gm)
        gm.graph.eliminate_dead_code()
        steps = find_steps(gm)
        layers = [step for step in steps if isinstance(step, Convolve) and not step.is_norm]
        modes = asked_modes(gm, layers, mode)
        seconds = measured_modes([step for step in layers if step.layer.name not in modes])
        modes |= {name: fastest(times) for name, times in seconds.items()}
        arrange(gm, steps, modes)
    for module in gm.modules():
        if isinstance(module, Table):
            module.precision = precision
    report = InferenceReport(
        rows=tuple(_rows(gm, steps, modes, seconds)),
        others=tuple(dict.fromkeys(_others(gm))),
        batch=len(example),
    )
    lay_out(gm)
    made_from = weights_sha256(network.state_dict())
    return InferenceNetwork(_alone(gm), tuple(example.shape[1:]), report, made_from)


def _alone(gm: fx.GraphModule) -> nn.Module:
    """Return the table that is all of a graph, else the graph."""
    *_, last = gm.graph.nodes
    (made,) = last.args
    is_all = isinstance(made, fx.Node) and len(gm.graph.nodes) == 3
    table = module_of(gm, made) if is_all else None
    return table if isinstance(table, Table) else gm


def _rows(
    gm: fx.GraphModule,
    steps: Sequence[Step],
    modes: Mapping[str, ExecutionMode],
    seconds: Mapping[str, Seconds],
) -> Iterator[LayerRow]:
    sizes: dict[str, WeightBytes] = {}
    for module in gm.modules():
        if isinstance(module, OneLayer | Table):
            sizes |= module.sizes
    for step in steps:
        if not isinstance(step, Convolve) or step.layer.name not in sizes:
            continue  # among others a batch norm that stays as it is
        name, shape = step.layer.name, shape_of(step.nodes[-1])
        assert shape is not None
        yield LayerRow(
            layer=name,
            mode=modes.get(name, "fused"),
            is_dense=step.layer.is_dense,
            output=shape[1:],
            seconds=seconds.get(name, {}),
            sizes=sizes[name],
        )


def _others(gm: fx.GraphModule) -> Iterator[str]:
    """Yield what neither a table nor a layer computes."""
    for node in gm.graph.nodes:
        is_call = node.op in ("call_module", "call_function", "call_method")
        is_ours = isinstance(module_of(gm, node), OneLayer | Table)
        if is_call and not is_ours and node.target is not getitem:
            yield origin(node)


def _check_weights(network: nn.Module) -> None:
    """Raise UsageError unless all weights are float32 on the CPU."""
    for name, parameter in network.named_parameters():
        if parameter.dtype != torch.float32 or parameter.device.type != "cpu":
            raise UsageError(
                f"network: '{name}' of {parameter.dtype} on {parameter.device} given, "
                "torch.float32 on cpu allowed"
            )
