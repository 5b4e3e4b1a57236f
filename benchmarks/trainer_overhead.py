"""What the trainer costs beside a hand-written loop: LeNet on MNIST, batch 64, on the CPU.

Three sides train the same network with the same optimizer on the same batches of the same loader:
a bare loop (the peer), our trainer with its logging, metrics and checkpoints on, and Lightning's
Trainer with everything optional switched off. The ratio is the side's time / the bare loop's.

    python -m benchmarks.trainer_overhead
"""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.harness import Row, interleaved, report
from benchmarks.lightning_peer import NAME, Batches, be_quiet, lightning, new_trainer
from benchmarks.training import experiment_of, trainer_of
from experiments.data.loader import Loader
from experiments.experiment.experiment import Experiment
from experiments.training.assembly import Assembly

NUM_SAMPLES = 19_200
REPEATS = 21


def experiment() -> Experiment:
    """Return the float LeNet's experiment over a part of the training digits."""
    overrides = {
        "data.limit": str(NUM_SAMPLES),
        "data.valid_fraction": "0",
        "experiment.epochs": "1",
    }
    return experiment_of("MNIST", "LeNet", "float", overrides)


def bare_loop(assembly: Assembly, loader: Loader) -> Callable[[], None]:
    """Return one epoch of the loop that anyone would write."""

    def epoch() -> None:
        assembly.network.train()
        for batch in loader.epoch(0):
            assembly.optimizer.zero_grad()
            loss = assembly.loss(assembly.network(batch.inputs), batch.targets)
            loss.backward()
            assembly.optimizer.step()

    return epoch


class _Module(lightning.LightningModule):
    def __init__(self, assembly: Assembly) -> None:
        super().__init__()
        self.network, self.loss = assembly.network, assembly.loss
        self._optimizer = assembly.optimizer

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        inputs, targets = batch
        loss: Tensor = self.loss(self.network(inputs), targets)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self._optimizer


def lightning_trainer(assembly: Assembly, loader: Loader) -> Callable[[], None]:
    """Return one epoch of Lightning's Trainer, everything optional off."""
    module = _Module(assembly)

    def epoch() -> None:
        trainer = new_trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False
        )
        trainer.fit(module, Batches(loader))

    return epoch


def main() -> None:
    """Measure and report."""
    warnings.filterwarnings("ignore", module="lightning")
    be_quiet()
    subject = experiment()
    indices = subject.split(0).train

    def loader() -> Loader:
        return subject.loader(subject.data.train, indices, 0, is_training=True)

    with tempfile.TemporaryDirectory() as folder:
        sides = {
            "hand-written loop": bare_loop(subject.assemble(0), loader()),
            "QuantLab, logging and checkpoints on": trainer_of(
                subject, subject.assemble(0), loader(), Path(folder)
            ),
            f"{NAME}, options off": lightning_trainer(subject.assemble(0), loader()),
        }
        timings = interleaved(sides, REPEATS)
    num_steps = loader().plan.num_steps
    bare = timings["hand-written loop"].seconds
    rows = [
        Row(
            figures={
                "side": name,
                "steps_per_second": num_steps / timing.seconds,
                "microseconds_per_step": timing.seconds / num_steps * 1e6,
                "microseconds_beyond_loop": (timing.seconds - bare) / num_steps * 1e6,
                "times_the_loop": 1.0 / timing.ratio,
            },
            peer="hand-written loop",
            ratio=1.0 / timing.ratio,
        )
        for name, timing in timings.items()
    ]
    report("trainer_overhead", rows)


if __name__ == "__main__":
    main()
