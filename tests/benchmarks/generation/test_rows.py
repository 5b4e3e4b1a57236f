"""The rows of benchmarks.generation_accuracy: settings that are valid, and rows that go through."""

from pathlib import Path

import pytest

from benchmarks.generation.forms import FORMS
from benchmarks.generation.rows import PLANS, PUBLISHED, plan, settings_of
from benchmarks.generation.teacher import Teacher, teacher_in, train_teacher
from benchmarks.generation.trained import _library, _resolved
from benchmarks.generation_accuracy import (
    LONG,
    budget_in,
    jobs,
    measure,
    part_of,
    points_of,
    table,
)
from experiments.experiment.assembly import build_network
from experiments.library import load_problem
from quantlab.algorithms.layers import carries
from quantlab.errors import UsageError
from tests.lab import Lab

BUDGET = 358_400


def settings(name: str, dense: Path) -> dict[str, str]:
    return settings_of(name, dense=dense, identity="ab12", budget=BUDGET, epochs=60, seed=1)


@pytest.mark.parametrize("name", ["narrow", "bsconv", "uniform-rate"])
def test_rivals_are_experiments(name: str, tmp_path: Path) -> None:
    given = settings(name, tmp_path / "last.ckpt") | {"network.params.dense": "null"}
    document, config = _resolved(plan(name).config, given, is_quick=False)
    assert config.experiment.epochs == 60
    assert config.teacher is not None
    assert config.teacher.checkpoint == str(tmp_path / "last.ckpt")
    network, _ = build_network(load_problem("CIFAR10"), _library(), config, document, seed=0)
    layers = [layer for layer in network.modules() if hasattr(layer, "in_channels")]
    assert all(list(carries(layer)) == ["weight"] for layer in layers)


@pytest.mark.long
def test_rows_share_all_but_what_they_compare(tmp_path: Path) -> None:
    found = {
        name: settings(name, tmp_path / "last.ckpt")
        for name, row in PLANS.items()
        if row.allocated is None
    }
    for key in ("data.batch_size", "experiment.epochs", "teacher.checkpoint", "training.precision"):
        assert len({given[key] for given in found.values()}) == 1
    assert PLANS.keys() > FORMS.keys()


def test_jobs_name_each_row_once() -> None:
    found = jobs()
    assert len(set(found)) == len(found)
    assert {(name, seed) for name, seed, epochs in found if epochs == LONG} == {
        (name, 0) for name, row in PLANS.items() if row.long
    }
    assert all(
        sum(1 for one in found if one[0] == name and one[2] != LONG) == row.num_seeds
        for name, row in PLANS.items()
    )


def test_the_sweep_has_the_documents_bases() -> None:
    found = [name for name, _, _ in jobs(is_sweep=True)]
    assert found[0] == "dense"
    assert "bases-2-44" in found
    assert plan("bases-2-44").settings["mlg.base_out"] == "44"
    assert plan("bases-2-44").settings["mlg.basis_bit"] == "32"


def test_points_are_means_over_seeds() -> None:
    rows = [{"row": "svd", "epochs": 60, "top1": top1, "file_bytes": 1000} for top1 in (90.0, 91.0)]
    (point,) = points_of(rows)
    assert (point.name, point.kind, point.top1) == ("svd", "rivals, 60 epochs", 90.5)


def test_unknown_rows() -> None:
    with pytest.raises(UsageError, match=r"--only: 'svt' given, .* allowed; did you mean 'svd'"):
        plan("svt")


def test_rows_stand_beside_the_dense_one() -> None:
    row = {"seed": 0, "teacher_top1": 90.0, "machine": {}, "command": ""}
    rows = table(
        [
            row | {"row": "svd", "epochs": 60, "top1": 46.0},
            row | {"row": "dense", "epochs": 60, "top1": 92.0},
            row | {"row": "svd", "epochs": 200, "top1": 45.0},
        ]
    )
    assert [(one.figures["row"], one.ratio) for one in rows] == [
        ("dense", 1.0),
        ("svd", 0.5),
        ("svd", 0.5),
    ]


SMALL = {
    "data.source": "synthetic",
    "data.batch_size": "16",
    "data.eval_batch_size": "16",
    "data.limit": "32",
    "data.limit_test": "16",
    "training.precision": "float32",
    "training.channels_last": "false",
}


def test_the_budget_is_the_bytes_of_the_published_pack(tmp_path: Path) -> None:
    teacher = Teacher(checkpoint="", top1=90.0, epochs=3, sha256="0123456789abcdef")
    assert budget_in(tmp_path, 60, teacher) is None
    part = part_of(tmp_path, PUBLISHED, 0, 60, 0, teacher)
    part.write_text('{"file_bytes": 321000}')
    assert budget_in(tmp_path, 60, teacher) == 321_000
    assert budget_in(tmp_path, 61, teacher) is None
    assert part == part_of(tmp_path, PUBLISHED, 0, 60, 321_000, teacher), "it has no budget"


@pytest.mark.long
def test_rows_go_through(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    assert teacher_in(folder) is None
    teacher = train_teacher(folder, 1, SMALL, is_quick=True)
    assert teacher_in(folder) == teacher
    for name in ("dense", "svd", "uniform-rate", "mlg-released"):
        measured = measure(
            name,
            seed=0,
            epochs=1,
            teacher=teacher,
            budget=BUDGET,
            folder=folder,
            more=SMALL,
            is_quick=True,
        )
        assert measured["row"] == name
        assert measured["teacher_sha256"] == teacher.sha256
        if name == "svd":
            assert 0.9 * BUDGET < measured["file_bytes"] <= BUDGET
        if name == "mlg-released":
            (file,) = folder.glob("*.mlgpack")
            assert measured["file_bytes"] == file.stat().st_size
