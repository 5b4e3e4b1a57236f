"""Training on a GPU: the time of an epoch beside a hand-written loop.

CIFAR10/ResNet with 18 layers, batch 512 per GPU, bfloat16, channels_last, torch.compile, the data
on the GPU. Both sides train in one process in turn, with the same augmentation and schedule: a loop
that anyone would write, and our trainer with its logging, metrics and checkpoints on.

    python -m benchmarks.gpu_training

Photos: the problem's data folder, else synthetic ones of the same shape (the time is the same).
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.harness import Row, interleaved, report
from benchmarks.training import experiment_of, trainer_of
from experiments.data.loader import place
from experiments.experiment.experiment import Experiment
from experiments.protocols import InMemory

REPEATS = 5
# A call is a run of so many epochs: checkpoints are written beside the next epoch's training.
EPOCHS = 6


def experiment() -> Experiment:
    """Return the experiment of the fast recipe, some epochs long."""
    overrides = {"experiment.epochs": str(EPOCHS), "data.valid_fraction": "0"}
    return experiment_of("CIFAR10", "ResNet", "resnet18", overrides)


def hand_written(subject: Experiment) -> Callable[[], None]:
    """Return a plain loop: shuffle on the GPU, crop, flip, train, sum the loss."""
    train = place(subject.data.train, subject.session.device)
    assert isinstance(train, InMemory)
    assembly = subject.assemble(0)
    network = torch.compile(assembly.network)
    batch = subject.config.data.batch_size
    num_steps = -(-len(train) // batch)
    preprocess = subject.library.preprocess

    def run() -> None:
        for epoch in range(EPOCHS):
            train_epoch(epoch)

    def train_epoch(epoch: int) -> None:
        assembly.network.train()
        device = train.inputs.device
        order = torch.randperm(len(train), device=device)
        draws = torch.rand(len(train), preprocess.NUM_DRAWS, device=device)
        total = torch.zeros((), device=device)
        for step in range(num_steps):
            part = slice(step * batch, (step + 1) * batch)
            index = order[part]
            inputs = preprocess.train(train.inputs[index], draws[part])
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            forward: Callable[[Tensor], Tensor] | nn.Module = (
                network if len(index) == batch else assembly.network
            )
            assembly.learning_rate.on_step(epoch + step / num_steps, EPOCHS)
            assembly.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", torch.bfloat16):
                loss = assembly.loss(forward(inputs), train.targets[index])
            loss.backward()
            assembly.optimizer.step()
            total += loss.detach()
        float(total)

    return run


def our_trainer(subject: Experiment, folder: Path) -> Callable[[], None]:
    """Return our trainer, everything on; each epoch ends with a checkpoint."""
    train = place(subject.data.train, subject.session.device)
    loader = subject.loader(train, subject.split(0).train, 0, is_training=True)
    epochs = trainer_of(subject, subject.assemble(0), loader, folder)

    def run() -> None:
        epochs()
        torch.cuda.synchronize()

    return run


def compare(subject: Experiment, folder: Path) -> list[Row]:
    """Return the rows of the comparison with the hand-written loop."""
    sides = {"hand-written loop": hand_written(subject), "QuantLab": our_trainer(subject, folder)}
    for run in sides.values():
        run()  # compiles
    timings = interleaved(sides, REPEATS)
    return [
        Row(
            figures={
                "side": name,
                "seconds_per_epoch": timing.seconds / EPOCHS,
                "images_per_second": EPOCHS * len(subject.data.train) / timing.seconds,
                "times_the_loop": 1.0 / timing.ratio,
            },
            peer="hand-written loop",
            ratio=1.0 / timing.ratio,
        )
        for name, timing in timings.items()
    ]


def main() -> None:
    """Measure and report."""
    if not torch.cuda.is_available():
        print("gpu_training: no GPU here; nothing measured")
        return
    subject = experiment()
    with tempfile.TemporaryDirectory() as folder:
        report("gpu_training", compare(subject, Path(folder)))


if __name__ == "__main__":
    main()
