"""Settings of a generated network whose bases and bits are allocated to its layers."""

import torch
from torch import Tensor, nn

from benchmarks.generation.rivals.stored import LAST_BITS, float_bytes
from experiments.library import load_library, load_problem
from experiments.protocols import InMemory, Source
from experiments.storage import ensure_links
from quantlab.generation.allocation import Allocation, Dense, allocate, sensitivity_of
from quantlab.generation.spec import MLGSpec

_NUM_BATCHES, _BATCH = 8, 64
_SCALE = "granularity: per_tensor"


def allocated_settings(
    dense: nn.Module,
    budget: int,
    *,
    quantizer: str = "dorefa_sym",
    source: Source = "auto",
    processes: int = 1,
) -> dict[str, str]:
    """Return the settings of a network of at most `budget` bytes before its codes are
    entropy-coded.

    dense: the trained network, a ResNet. source: of the photos, as `data.source`. processes: that
    measure layers side by side.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = dense.to(device)
    layers = {
        name: module.weight.detach().cpu()
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    others = float_bytes(network) + network.get_parameter("fc.weight").numel() * LAST_BITS // 8
    found = allocate(
        layers,
        sensitivity_of(network, list(layers), _batches(source), nn.CrossEntropyLoss()),
        budget - others,
        like=MLGSpec.model_validate({"quantizer": quantizer}),
        processes=processes,
    )
    return settings_of(found, quantizer)


def settings_of(allocation: Allocation, quantizer: str) -> dict[str, str]:
    """Return the settings that make an allocation."""
    rules, quantized = [], [_quantized("last", LAST_BITS)]
    for name, option in allocation.options.items():
        if isinstance(option.form, Dense):
            rules.append(f"{{select: '{name}', dense: true}}")
            quantized.append(_quantized(name, option.form.num_bits))
        else:
            sizes = ", ".join(f"{key}: {value}" for key, value in _sizes(option.form).items())
            rules.append(f"{{select: '{name}', {sizes}}}")
    return {
        "mlg.quantizer": quantizer,
        "mlg.rules": f"[{', '.join(rules)}]",
        "quantize.rules": f"[{', '.join(quantized)}]",
    }


def _sizes(spec: MLGSpec) -> dict[str, int]:
    return {"base_in": spec.base_in, "base_out": spec.base_out} | {
        f"{name}_bit": bits for name, bits in spec.bits.items()
    }


def _quantized(select: str, num_bits: int) -> str:
    # The optimizer is Adam, which loses the scales of LSQ.
    algorithm = f"{{kind: ste, num_bits: {num_bits}, start_epoch: 0, {_SCALE}}}"
    return f"{{select: '{select}', on: weight, algorithm: {algorithm}}}"


def _batches(source: Source) -> list[tuple[Tensor, Tensor]]:
    """Return the first training photos, prepared as for an evaluation."""
    problem = load_problem("CIFAR10")
    ensure_links(problem)
    samples = problem.data.load(problem.data_folder, source).train
    assert isinstance(samples, InMemory)
    evaluate = load_library("CIFAR10", "ResNet").preprocess.evaluate
    starts = range(0, min(len(samples), _NUM_BATCHES * _BATCH), _BATCH)
    return [
        (evaluate(samples.inputs[start : start + _BATCH]), samples.targets[start : start + _BATCH])
        for start in starts
    ]
