"""What HPARAMS shows of a run, in the real TensorBoard's order."""

from pathlib import Path

import pytest

from experiments.experiment.hyperparameters import hyperparameters
from experiments.runs.board import Board
from tests.board_server import eventually, tensorboard
from tests.toy.experiments import toy_experiment

RULES = (
    "quantize.rules=[{select: conv, on: weight, algorithm: {kind: lsq, num_bits: 4}}, "
    "{select: linear, on: weight, algorithm: {kind: binary}}, "
    "{select: linear, on: input, algorithm: {kind: lsq, num_bits: 8}}]"
)


def shown(folder: Path, *overrides: str) -> dict[str, object]:
    experiment = toy_experiment(folder, *overrides)
    assembly = experiment.assemble(0)
    rate = float(assembly.optimizer.defaults["lr"])
    return hyperparameters(experiment.config, experiment.library.name, assembly.network, rate)


def words(found: dict[str, object]) -> list[object]:
    return [value for name, value in found.items() if name[0].isdecimal()]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), ["toy", "Tiny", "none", "float32", 0.05]),
        (("experiment.name=big", RULES), ["big", "Tiny", "lsq, binary", "w1,4 a8", 0.05]),
        (("training.precision=float64",), ["toy", "Tiny", "none", "float64", 0.05]),
        (
            ("mlg.base_in=2", "mlg.base_out=3", "mlg.coeff_in_bit=32"),
            ["toy", "Tiny", "none", "w3", 0.05],
        ),
        (("training.optimizer.class=Adam",), ["toy", "Tiny", "none", "float32", 0.001]),
    ],
)
def test_a_run_in_a_few_words(
    tmp_path: Path, overrides: tuple[str, ...], expected: list[object]
) -> None:
    assert words(shown(tmp_path, *overrides)) == expected


def test_settings_without_effect_on_the_network_are_left_out(tmp_path: Path) -> None:
    found = shown(tmp_path, "monitor=[{stat: weight_norm}]")
    assert {"experiment", "data", "network", "training", "quantize"} <= set(found)
    assert not {"checkpoint", "monitor"} & set(found)
    assert "lr" not in str(found["training"]["optimizer"])  # type: ignore[index]
    assert "name" not in found["experiment"]  # type: ignore[operator]


def test_the_words_come_first_in_the_real_tensorboard(tmp_path: Path) -> None:
    runs: dict[str, tuple[str, ...]] = {
        "a": ("experiment.name=first", "experiment.seed=1"),
        "b": ("experiment.name=second", "training.optimizer.params.lr=0.1", RULES),
    }
    for name, overrides in runs.items():
        board = Board(tmp_path / name)
        board.hyperparameters(shown(tmp_path, *overrides))
        board.scalars(1, {"train/loss": 1.0})
        board.close()
    with tensorboard([f"--logdir={tmp_path}"], tmp_path) as fetch:
        eventually(lambda: fetch("data/runs"), lambda found: found == ["a", "b"])
        infos = fetch("data/plugin/hparams/experiment", {})["hparamInfos"]
    names = [info["name"] for info in infos]
    differing = [info["name"] for info in infos if info.get("differs")]
    assert differing[:4] == ["1 name", "3 algorithm", "4 bits", "5 learning rate"]
    assert names[: len(differing)] == differing
    assert names[len(differing)] == "2 topology"
