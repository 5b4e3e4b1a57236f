"""One row: a network, a seed, a budget and a rule, in a process of its own.

    python -m benchmarks.compression.row FOLDER NETWORK SEED BUDGET METHOD [DEVICE]

The dense network is read from FOLDER/NETWORK-SEED.pt, or trained and kept there. The row goes to
FOLDER/NETWORK-SEED-BUDGET-METHOD.json, its integer program beside it; what is killed goes on.
"""

import json
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

from benchmarks.compression.networks import NETWORKS, PARTS, Network
from benchmarks.compression.photos import Samples, load
from quantlab import backend
from quantlab.compression import Data, Recipe, UnreachableError, compress
from quantlab.compression.samples import drawn_from, hash_of
from quantlab.compression.training import accuracy_of
from quantlab.errors import DivergedError, UsageError
from quantlab.integer.file import to_bytes

BOARD = "c-m3"


def budget_of(network: Network, dense: nn.Module, budget: str) -> int:
    """Return the bytes of a budget by name."""
    if budget in network.budgets:
        return network.budgets[budget]
    return 4 * sum(parameter.numel() for parameter in dense.parameters()) // PARTS[budget]


def dense_of(network: Network, samples: Samples, path: Path, seed: int, device: str) -> nn.Module:
    """Return the trained network of a seed, from a file if it is there."""
    torch.manual_seed(seed)
    made = network.new().to(device)
    if not path.exists():
        _train(made, network, samples, seed)
        part = path.with_suffix(f".{os.getpid()}")
        torch.save({name: value.cpu() for name, value in made.state_dict().items()}, part)
        part.rename(path)
    made.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    return made.eval()


def stem_of(name: str, seed: int, budget: str, method: str, changes: Mapping[str, Any]) -> str:
    """Return the name of a row's files. changes: of its recipe."""
    said = [f"{key}={value}" for key, value in changes.items()]
    parts = [name, str(seed), budget, method, *said]
    return re.sub("[^A-Za-z0-9.=-]", "_", "-".join(parts))


def _train(made: nn.Module, network: Network, samples: Samples, seed: int) -> None:
    training = network.training
    optimizer = torch.optim.SGD(
        made.parameters(), training.peak, momentum=0.9, nesterov=True,
        weight_decay=training.weight_decay,
    )  # fmt: skip
    steps = training.epochs * len(samples.train)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.peak, steps)
    made.train()
    for epoch in range(training.epochs):
        with drawn_from(hash_of(seed, -1 - epoch), samples.train):
            for inputs, targets in samples.train:
                optimizer.zero_grad()
                nn.functional.cross_entropy(made(inputs), targets).backward()
                optimizer.step()
                schedule.step()


def measure(
    folder: Path, name: str, seed: int, budget: str, method: str, device: str, **changes: Any
) -> dict[str, Any]:
    """Return the figures of a row."""
    network = NETWORKS[name]
    samples = load(
        network.problem,
        network.topology,
        network.fit,
        batch_size=network.batch_size,
        device=device,
    )
    path = folder / f"{network.dense or name}-{seed}.pt"
    dense = dense_of(network, samples, path, seed, device)
    found: dict[str, Any] = {
        "network": name, "seed": seed, "budget": budget, "method": method,
        "dense": accuracy_of(dense, samples.test, "test"), "isa": backend.isa(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
    }  # fmt: skip
    if method == "dense":
        return found
    flash = budget_of(network, dense, budget)
    recipe = Recipe(**{**network.recipe.model_dump(), "method": method, "seed": seed, **changes})
    stem = stem_of(name, seed, budget, method, changes)
    began = perf_counter()
    try:
        made = compress(
            dense,
            Data(train=samples.train, valid=samples.valid, test=samples.test),
            budget=flash,
            recipe=recipe,
            board=BOARD,
            spec=samples.spec,
            folder=folder / stem,
        )
    except UnreachableError as error:
        return {**found, "bytes": flash, "error": str(error), "smallest": error.smallest}
    except (UsageError, DivergedError) as error:
        return {**found, "bytes": flash, "error": str(error)}
    report = made.report
    (folder / f"{stem}.qlp").write_bytes(to_bytes(made.program))
    return {
        **found, "bytes": flash, "flash": report.flash, "ram": report.ram,
        "accuracy": report.test_accuracy, "repeated": report.num_repeated, "valid": report.accuracy,
        "dense_valid": report.dense_accuracy, "float_bytes": report.float_bytes,
        "dense_flash": report.dense_flash, "seconds": round(perf_counter() - began, 1),
        "encoding": made.encoding,
        "layers": [
            (row.name, row.kept, row.bits, row.encoding, row.nbytes) for row in report.layers
        ],
        "curve": [(point.epoch, point.flash, point.accuracy) for point in report.curve],
    }  # fmt: skip


def main(arguments: list[str]) -> None:
    """Measure a row, unless it is there."""
    folder, name, seed, budget, method = Path(arguments[0]), *arguments[1:5]
    changes = json.loads(arguments[6]) if len(arguments) > 6 else {}
    path = folder / f"{stem_of(name, int(seed), budget, method, changes)}.json"
    if path.exists():
        return
    device = arguments[5] if len(arguments) > 5 else "cuda"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    found = measure(folder, name, int(seed), budget, method, device, **changes)
    if math.isnan(found.get("accuracy") or 0.0):
        raise SystemExit("no accuracy")
    path.write_text(json.dumps({**found, "changes": changes}, indent=1) + "\n", encoding="utf-8")
    print({k: v for k, v in found.items() if k not in ("layers", "curve")}, changes, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
