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
from experiments.communicator import Single
from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import resolve
from experiments.configuration.schema import Config
from experiments.configuration.section import validate
from experiments.experiment import Experiment
from experiments.library import load_library, load_problem
from experiments.runs.checkpoints import Checkpoints
from experiments.runs.logbook import Logbook
from experiments.session import Session
from experiments.storage import ensure_links
from experiments.training.trainer import Trainer
from quantlab.monitor import STATISTICS
from quantlab.monitor.statistic import DEFAULT_PERIOD

NUM_STEPS = DEFAULT_PERIOD  # one of them is measured
REPEATS = 25
CPU = torch.device("cpu")
# LeNet has no batch norm.
STATS = [stat for stat in STATISTICS if stat != "batch_norm_factors"]
SIDES = {
    "no statistics": None,
    f"all {len(STATS)}, every {DEFAULT_PERIOD} steps": DEFAULT_PERIOD,
    f"all {len(STATS)}, every step": 1,
}


def experiment(period: int | None) -> Experiment:
    """Return the 4-bit LeNet's experiment over a part of the digits, quantized from the start."""
    problem, library = load_problem("MNIST"), load_library("MNIST", "LeNet")
    ensure_links(problem)
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
    parsed = [parse_override(name, value) for name, value in overrides.items()]
    document = resolve("MNIST", "LeNet", "w4a4", parsed)
    return Experiment(
        problem=problem,
        library=library,
        config=validate(Config, document),
        document=document,
        data=problem.data.load(problem.data_folder, "auto"),
        session=Session(communicator=Single(), device=CPU, threads=torch.get_num_threads()),
    )


def epoch_of(subject: Experiment, folder: Path) -> Callable[[], None]:
    """Return one epoch of the trainer."""
    indices = subject.split(0).train
    trainer = Trainer(
        assembly=subject.assemble(0),
        config=subject.config,
        train=subject.loader(subject.data.train, indices, 0, is_training=True),
        valid=None,
        new_meter=subject.new_meter,
        postprocess=subject.library.postprocess,
        precision=subject.precision(),
        communicator=Single(),
        device=CPU,
        checkpoints=Checkpoints(folder / "saves"),
        logbook=Logbook(folder),
        seed=0,
        say=lambda line: None,
    )

    def epoch() -> None:
        trainer.rewind()
        trainer.fit()

    return epoch


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
