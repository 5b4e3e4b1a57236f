"""What does not fit is told before a run's folder is made."""

from pathlib import Path

import pytest
import torch

import main
from quantlab.errors import UsageError
from tests.lab import TOY_RUN, Lab
from tests.toy.experiments import toy_experiment

# A batch norm with one number of each channel and sample.
POINTS = ("network.params.shape=[6, 6]", "data.valid_fraction=0", "data.batch_size=8")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("data.limit=49",),
            "data.batch_size: leaves a batch of 1 sample, on which batch norm cannot train; set "
            "data.drop_last=true, or another batch_size",
        ),
        (
            ("data.limit=13", "training.accumulate=3", "data.batch_size=6"),
            "data.batch_size: leaves a batch of 1 sample, on which batch norm cannot train; set "
            "data.drop_last=true, or another batch_size",
        ),
        (
            ("data.batch_size=1",),
            "data.batch_size: leaves a batch of 1 sample, on which batch norm cannot train; set at "
            "least 2",
        ),
        (
            ("data.limit=50", "data.batch_size=9", "experiment.folds=4"),
            "data.batch_size: leaves a batch of 1 sample",  # in the folds that train on 37
        ),
        (
            ("data.limit=7", "data.drop_last=true"),
            "data.drop_last: leaves no step: 7 samples train, a step has 8",
        ),
    ],
)
def test_batches_that_cannot_be_trained_on(
    tmp_path: Path, overrides: tuple[str, ...], message: str
) -> None:
    experiment = toy_experiment(tmp_path, *POINTS, *overrides)
    with pytest.raises(UsageError) as caught:
        experiment.check()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "overrides",
    [
        (*POINTS, "data.limit=49", "data.drop_last=true"),
        (*POINTS, "data.limit=50"),
        (*POINTS, "data.limit=49", "network.params.shape=[3, 3]"),  # 16 numbers of each channel
        ("data.batch_size=1", "network.class=Plain"),
    ],
)
def test_batches_that_can(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    toy_experiment(tmp_path, *overrides).check()


def test_a_run_that_drops_the_last_batch(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    given = [*TOY_RUN, *(f"--{override}" for override in POINTS), "--data.limit=49"]
    assert main.main(given) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(lab.logs.iterdir()) == []
    assert main.main([*given, "--data.drop_last=true", "--experiment.epochs=2"]) == 0
    saved = torch.load(lab.folder().fold(0) / "saves" / "last.ckpt", weights_only=True)
    assert saved["position"]["step"] == 2 * 6  # of 49 samples, 48 in each epoch


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("MSELoss", "MSELoss: targets of torch.int64 [2] given for outputs [2, 4]; [2, 4] allowed"),
        ("NLLLoss", None),
        ("CrossEntropyLoss", None),
    ],
)
def test_targets_that_the_loss_cannot_take(tmp_path: Path, loss: str, words: str | None) -> None:
    experiment = toy_experiment(tmp_path, f"training.loss.class={loss}", "training.loss.params={}")
    if words is None:
        experiment.check()
        return
    with pytest.raises(UsageError) as caught:
        experiment.check()
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "Tiny/preprocess.py",
            "return evaluate(inputs) + 0.5 * draws_NK[:, :, None, None]",
            "return evaluate(inputs) + draws_NK[:, 5]",
            "Tiny: preprocess.train fails on Toy's samples: index 5 is out of bounds",
        ),
        (
            "Tiny/preprocess.py",
            "return inputs.float() / 96.0 - 1.0",
            "return inputs.numpy() / 96.0",
            "preprocess.evaluate returned ndarray; a tensor allowed",
        ),
        (
            "Tiny/preprocess.py",
            "return inputs.float() / 96.0 - 1.0",
            "return inputs[:1].float()",
            "preprocess.evaluate returned a tensor [1, 1, 6, 6] of 2 samples; [2, ...] allowed",
        ),
        (
            "Tiny/preprocess.py",
            "return inputs.float() / 96.0 - 1.0",
            "return inputs.float() / 0.0",
            "Tiny: preprocess.evaluate: inf in sample 0 at [0, 0, 0]; finite numbers allowed",
        ),
        (
            "Tiny/preprocess.py",
            "scale=(1 / 96,)",
            "scale=(1 / 96, 1 / 96)",
            "normalization: 1 zero points, 2 scales; allowed: one of each per channel",
        ),
        (
            "Tiny/postprocess.py",
            "return outputs",
            "return outputs.best",
            "Tiny does not fit Toy's ",
        ),
        (
            "Tiny/network.py",
            "hidden)))\n        return scores\n\n\nclass Plain",
            "hidden)))\n        return scores, x_NCHW\n\n\nclass Plain",
            "has no attribute 'shape'; the network returns a tuple",
        ),
        ("Tiny/postprocess.py", "return outputs", "assert not len(outputs)", "does not fit Toy's"),
        (
            "data.py",
            "test=patches(25, seed=2)",
            "test=InMemory(inputs=torch.zeros(9, 1, 7, 7).byte(), "
            "targets=torch.zeros(9).long(), classes=CLASSES)",
            "Tiny does not fit Toy's test data (1x7x7, 4 classes): mat1 and mat2 shapes cannot be",
        ),
        ("data.py", "inputs=inputs,", "inputs=open(folder),", "No such file or directory"),
    ],
)
def test_libraries_that_do_not_fit(
    lab: Lab, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, words: str
) -> None:
    path = lab.problems / "Toy" / file
    text = path.read_text()
    assert text.count(old) == 1
    text = text.replace(old, new).replace("open(folder)", 'open("/no/such/file")')
    path.write_text(text)
    is_about_data = "No such" in words or "finite" in words
    assert main.main([*TOY_RUN]) == (3 if is_about_data else 2)
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert list(lab.logs.iterdir()) == []


def test_a_loss_that_would_broadcast(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Torch only warns, and trains on the mean over all pairs."""
    loss = lab.problems / "Toy" / "Tiny" / "loss.py"
    loss.write_text(
        "from torch import nn\n\n\nclass Own(nn.MSELoss):\n"
        "    def forward(self, outputs, targets):\n"
        "        return super().forward(outputs[:, :1], targets.float())\n"
    )
    assert main.main([*TOY_RUN, "--training.loss={class: Own}"]) == 2
    captured = capsys.readouterr()
    assert "different to the input size" in captured.err
    assert len(captured.err.splitlines()) == 1
    assert list(lab.logs.iterdir()) == []
