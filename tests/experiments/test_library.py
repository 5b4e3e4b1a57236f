"""Problems and topologies, found by their folders."""

import sys

import pytest

from experiments.library import (
    config_names,
    load_library,
    load_problem,
    problem_names,
    topology_names,
)
from quantlab.errors import UsageError
from tests.lab import Lab


def test_names(lab: Lab) -> None:
    (lab.problems / "NoProblem").mkdir()
    assert problem_names() == ["CIFAR10", "CIFAR100", "ImageNet", "MNIST", "SpokenDigits", "Toy"]
    assert topology_names("Toy") == ["Other", "Tiny"]
    assert config_names("Toy", "Tiny") == ["quantized"]
    assert config_names("Toy", "Other") == []


def test_every_problem_and_library_loads() -> None:
    for name in problem_names():
        problem = load_problem(name)
        assert problem.data_folder == problem.folder / "data"
        assert problem.logs_folder == problem.folder / "logs"
        assert problem.meter(["a", "b"]).directions["top1"] == "max"
        for topology in topology_names(name):
            library = load_library(name, topology)
            assert library.preprocess.NUM_DRAWS >= 0
            assert library.loss is None


def test_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="no problem named 'MNST'; did you mean 'MNIST'"):
        load_problem("MNST")
    with pytest.raises(UsageError, match="no problem named 'zzz'; there are: CIFAR10, CIFAR100"):
        load_problem("zzz")
    with pytest.raises(UsageError, match="no topology of MNIST named 'LeNt'; did you mean 'LeNet'"):
        load_library("MNIST", "LeNt")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("data.py", "load = 1", "problems/Half/data.py: defines no fetch"),
        ("meter.py", "", "problems/Half/meter.py: no class Meter"),
        ("Net/postprocess.py", "", "problems/Half/Net/postprocess.py: defines no postprocess"),
        ("Net/preprocess.py", "NUM_DRAWS = 0", "problems/Half/Net/preprocess.py: defines no train"),
    ],
)
def test_what_a_problem_lacks(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, file: str, content: str, message: str
) -> None:
    folder = lab.problems / "Half"
    (folder / "Net").mkdir(parents=True)
    whole = {
        "data.py": "load = fetch = 1",
        "meter.py": "Meter = 1",
        "Net/network.py": "",
        "Net/config.yaml": "",
        "Net/preprocess.py": "NUM_DRAWS = 0\ntrain = evaluate = 1",
        "Net/postprocess.py": "postprocess = 1",
    }
    for name, text in {**whole, file: content}.items():
        (folder / name).write_text(text)
    for name in [name for name in sys.modules if name.startswith("problems.Half")]:
        monkeypatch.delitem(sys.modules, name)
    load = (lambda: load_library("Half", "Net")) if "/" in file else (lambda: load_problem("Half"))
    with pytest.raises(UsageError) as caught:
        load()
    assert message in str(caught.value)
