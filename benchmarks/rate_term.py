"""What the rate term saves: bytes of packs of LeNet on MNIST with and without it, at which top-1.

A float network is trained; then its weights are quantized (LSQ), or generated from factors with a
level at zero (`midtread`), and trained on. All rows of a seed begin with the same float network and
see the same batches. `packed` is the file with codes in their bits, `coded` with entropy coding.

    python -m benchmarks.rate_term
"""

import argparse
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.harness import Figure, Row, report
from problems.MNIST import data
from problems.MNIST.LeNet.network import LeNet
from quantlab.algorithms import Conductor, parameter_groups, quantize
from quantlab.algorithms.rate import num_quantized, rate_of
from quantlab.generation import convert
from quantlab.packs import make_pack, to_bytes

SEEDS = (0, 1)
_BATCH = 100
_NUM_EPOCHS = 2
_NUM_TRAIN = 20_000
_RATE, _RATE_OF_FACTORS = 1e-3, 1e-2  # whose steps are coarser
_BASES = {"base_in": 2, "base_out": 24, "linear_block": 16, "quantizer": "midtread"}


@dataclass(frozen=True, kw_only=True)
class Digits:
    """Standardized images `[N, 1, 28, 28]` and their classes `[N]`."""

    images: Tensor
    classes: Tensor


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A row. bits: of weights, or of all factors of generated ones. weight: of the rate."""

    is_generated: bool
    bits: int
    weight: float


PLANS = [
    *(Plan(is_generated=False, bits=bits, weight=0.0) for bits in (4, 3, 2)),
    Plan(is_generated=False, bits=4, weight=0.3),
    Plan(is_generated=False, bits=2, weight=0.1),
    *(Plan(is_generated=True, bits=bits, weight=0.0) for bits in (4, 3)),
    *(Plan(is_generated=True, bits=4, weight=weight) for weight in (0.1, 0.3)),
]


def digits() -> tuple[Digits, Digits]:
    """Return the first of MNIST's digits to train, and those to test."""
    found = data.load(Path(data.__file__).parent / "data", "auto")
    train, test = (
        Digits(images=(part.inputs.float() / 255 - 0.1307) / 0.3081, classes=part.targets)
        for part in (found.train, found.test)
    )
    few = Digits(images=train.images[:_NUM_TRAIN], classes=train.classes[:_NUM_TRAIN])
    return few, test


def learn(
    network: nn.Module,
    given: Digits,
    *,
    seed: int,
    rules: Any = (),
    weight: float = 0.0,
    learning_rate: float = _RATE,
) -> None:
    """Train a network. rules: of its quantization; weight: of the rate."""
    controllers = quantize(network, list(rules))
    optimizer = torch.optim.Adam(parameter_groups(network), lr=learning_rate)
    num_batches = len(given.classes) // _BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _NUM_EPOCHS * num_batches)
    generator = torch.Generator().manual_seed(seed)
    conductor = Conductor(controllers, optimizer)
    network.train()
    for _ in conductor.epochs(_NUM_EPOCHS):
        order = torch.randperm(len(given.classes), generator=generator)
        for places in conductor.steps(order[: num_batches * _BATCH].split(_BATCH)):
            optimizer.zero_grad()
            loss = cross_entropy(network(given.images[places]), given.classes[places])
            if weight:
                loss = loss + weight * rate_of(network) / num_quantized(network)
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()


@torch.no_grad()
def top1(network: nn.Module, given: Digits) -> float:
    """Return the share of right classes in percent."""
    right = [
        int((network(images).argmax(1) == classes).sum())
        for images, classes in zip(given.images.split(500), given.classes.split(500), strict=True)
    ]
    return 100 * sum(right) / len(given.classes)


def measured(start: nn.Module, plan: Plan, train: Digits, test: Digits, seed: int) -> Row:
    """Train a row from a float network."""
    network, rules = copy.deepcopy(start), []
    if plan.is_generated:
        bits = dict.fromkeys(("basis_bit", "coeff_in_bit", "coeff_out_bit"), plan.bits)
        layers = {"layers": "*", "projection_alg": "qals"}
        convert(network, {**_BASES, **bits, **layers})
    else:
        algorithm = {"kind": "lsq", "num_bits": plan.bits, "narrow": True, "start_epoch": 0}
        rules = [{"select": "*", "on": "weight", "algorithm": algorithm}]
    learn(
        network,
        train,
        seed=seed,
        rules=rules,
        weight=plan.weight,
        learning_rate=_RATE_OF_FACTORS if plan.is_generated else _RATE,
    )
    pack = make_pack(network, test.images[:1], floats="float16")
    packed, coded = (len(to_bytes(pack, is_coded=is_coded)) for is_coded in (False, True))
    figures: Mapping[str, Figure] = {
        "weights": "generated" if plan.is_generated else "plain",
        "bits": plan.bits,
        "rate_weight": plan.weight,
        "seed": seed,
        "entropy": float(rate_of(network).detach()) / num_quantized(network),
        "packed": packed,
        "coded": coded,
        "top1": round(top1(network, test), 2),
    }
    return Row(figures=figures, peer="packed without coding", ratio=packed / coded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    torch.set_num_threads(1)
    train, test = digits()
    rows = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        start = LeNet()
        learn(start, train, seed=seed)
        print(f"seed {seed}: float {top1(start, test):.2f} %", flush=True)
        for plan in PLANS:
            rows.append(measured(start, plan, train, test, seed))
            print(dict(rows[-1].figures), flush=True)
    report("rate_term", rows)


if __name__ == "__main__":
    main()
