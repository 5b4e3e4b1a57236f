"""What statistics cost: LeNet with 4-bit weights and activations on MNIST, batch 64, on the CPU.

Our trainer trains the same network on the same batches with no statistics, with all of them at the
default period, and with all in every step. The ratio is the side's time / the time without; times
are those of the processor, on one thread, so that other programs take no part in them.

    python -m benchmarks.monitor_overhead
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.harness import Row, interleaved, report
from benchmarks.training import experiment_of, trainer_of
from experiments.experiment.experiment import Experiment
from quantlab.monitor import STATISTICS
from quantlab.monitor.statistic import DEFAULT_PERIOD

NUM_STEPS = DEFAULT_PERIOD  # one of them is measured
REPEATS = 25
# LeNet has no batch norm.
STATS = [stat for stat in STATISTICS if stat != "batch_norm_factors"]
SIDES = {
    "no statistics": None,
    f"all {len(STATS)}, every {DEFAULT_PERIOD} steps": DEFAULT_PERIOD,
    f"all {len(STATS)}, every step": 1,
}


def experiment(period: int | None) -> Experiment:
    """Return the 4-bit LeNet's experiment over a part of the digits, quantized from the start."""
    asked = [f"{{stat: {stat}, period: {period}}}" for stat in STATS] if period else []
    overrides = {
        "data.limit": str(64 * NUM_STEPS),
        "data.valid_fraction": "0",
        "experiment.epochs": "1",
        "quantize.rules.0.algorithm.start_epoch": "0",
        "quantize.rules.1.algorithm.start_epoch": "0",
        "quantize.rules.1.algorithm.observe_steps": "10",
        "monitor": f"[{', '.join(asked)}]",
    }
    return experiment_of("MNIST", "LeNet", "w4a4", overrides)


def epoch_of(subject: Experiment, folder: Path) -> Callable[[], None]:
    """Return one epoch of the trainer."""
    indices = subject.split(0).train
    loader = subject.loader(subject.data.train, indices, 0, is_training=True)
    return trainer_of(subject, subject.assemble(0), loader, folder)


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sides = {
            name: epoch_of(experiment(period), Path(folder) / str(period))
            for name, period in SIDES.items()
        }
        timings = interleaved(sides, REPEATS, clock=time.process_time)
    peer = next(iter(SIDES))
    rows = [
        Row(
            figures={
                "side": name,
                "microseconds_per_step": timing.seconds / NUM_STEPS * 1e6,
                "percent_more": (1.0 / timing.ratio - 1.0) * 100.0,
            },
            peer=peer,
            ratio=1.0 / timing.ratio,
        )
        for name, timing in timings.items()
    ]
    report("monitor_overhead", rows)


if __name__ == "__main__":
    main()
