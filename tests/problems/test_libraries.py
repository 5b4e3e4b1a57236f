"""What every problem and every topology fulfils."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.fx
import yaml
from torch import Tensor, nn

from experiments.experiment.config import Config
from problems.images.normalize import _constants
from quantlab.graphs.operations import Operation
from tests.waiting import DEVICE, no_waiting

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
LIBRARIES = sorted(
    path.parent.relative_to(PROBLEMS).as_posix() for path in PROBLEMS.glob("*/*/network.py")
)
CONFIGS = sorted(
    path.relative_to(PROBLEMS).as_posix()
    for pattern in ("*/*/config.yaml", "*/*/configs/*.yaml")
    for path in PROBLEMS.glob(pattern)
)
SHAPES = {
    "MNIST": (1, 28, 28),
    "CIFAR10": (3, 32, 32),
    "CIFAR100": (3, 32, 32),
    "ImageNet": (3, 96, 96),
    "SpokenDigits": (1, 49, 10),
}
NUM_CLASSES = {"MNIST": 10, "CIFAR10": 10, "CIFAR100": 100, "ImageNet": 1000, "SpokenDigits": 10}
SECTIONS = {"extends", *Config.model_fields}


def module(library: str, name: str) -> ModuleType:
    return importlib.import_module(f"problems.{library.replace('/', '.')}.{name}")


def read(config: str) -> dict[str, Any]:
    content = yaml.safe_load((PROBLEMS / config).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def build(library: str) -> nn.Module:
    entry = read(f"{library}/config.yaml")["network"]
    network = getattr(module(library, "network"), entry["class"])(**entry.get("params", {}))
    assert isinstance(network, nn.Module)
    return network


def pixels(library: str, num_samples: int = 2) -> Tensor:
    shape = (num_samples, *SHAPES[library.split("/")[0]])
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def test_there_are_libraries() -> None:
    assert {name.split("/")[0] for name in LIBRARIES} == SHAPES.keys()
    assert len(LIBRARIES) >= 7


@pytest.mark.parametrize("library", LIBRARIES)
def test_from_pixels_to_scores(library: str) -> None:
    preprocess = module(library, "preprocess")
    raw = pixels(library)
    draws_NK = torch.rand(2, preprocess.NUM_DRAWS, generator=torch.Generator().manual_seed(1))
    trained, evaluated = preprocess.train(raw, draws_NK), preprocess.evaluate(raw)
    assert trained.shape == evaluated.shape == raw.shape
    assert trained.dtype == evaluated.dtype == torch.float32
    with torch.inference_mode():
        scores = build(library)(trained)
    predictions = module(library, "postprocess").postprocess(scores)
    assert predictions.shape == (2, NUM_CLASSES[library.split("/")[0]])
    meter = importlib.import_module(f"problems.{library.split('/')[0]}.meter").Meter(
        [str(number) for number in range(predictions.shape[1])]
    )
    targets = torch.tensor([0, 1])
    meter.update(predictions, targets, nn.functional.cross_entropy(scores, targets))
    assert {name for name, _ in meter.compute()} == set(meter.directions)


@pytest.mark.parametrize("library", LIBRARIES)
def test_preparing_a_batch_does_not_wait_for_a_gpu(library: str) -> None:
    preprocess, postprocess = module(library, "preprocess"), module(library, "postprocess")
    raw, scores = pixels(library), torch.zeros(2, NUM_CLASSES[library.split("/")[0]])
    draws_NK = torch.rand(2, preprocess.NUM_DRAWS)
    _constants(preprocess.NORMALIZATION, DEVICE)  # copied there once
    with no_waiting():
        preprocess.train(raw, draws_NK)
        preprocess.evaluate(raw)
        postprocess.postprocess(scores)


@pytest.mark.parametrize("library", LIBRARIES)
def test_evaluation_is_the_stated_normalization(library: str) -> None:
    preprocess = module(library, "preprocess")
    raw = pixels(library)
    zero_point = torch.tensor(preprocess.NORMALIZATION.zero_point).view(-1, 1, 1)
    scale = torch.tensor(preprocess.NORMALIZATION.scale).view(-1, 1, 1)
    assert torch.equal(preprocess.evaluate(raw), (raw.int() - zero_point).float() * scale)


@pytest.mark.parametrize("library", [name for name in LIBRARIES if "ImageNet" not in name])
def test_training_steps_do_not_wait_for_a_gpu(library: str) -> None:
    preprocess = module(library, "preprocess")
    batch, targets = preprocess.evaluate(pixels(library)), torch.tensor([0, 1])
    network = build(library)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, foreach=True)
    before = [parameter.clone() for parameter in network.parameters()]
    with no_waiting():
        nn.functional.cross_entropy(network(batch), targets).backward()
        optimizer.step()
    assert not all(map(torch.equal, before, network.parameters()))


class KeepsOperations(torch.fx.Tracer):
    """Calls the operations of quantlab.graphs as modules, as tracing for quantization does."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Operation) or super().is_leaf_module(m, module_qualified_name)


@pytest.mark.parametrize("library", LIBRARIES)
def test_networks_can_be_edited(library: str) -> None:
    network = build(library).eval()
    graph = KeepsOperations().trace(network)
    called = [node.target for node in graph.nodes if node.op == "call_module"]
    assert len(called) == len(set(called)), "a module is called twice"
    named = {name for name, part in network.named_modules() if not list(part.children())}
    assert named == set(called), "a module is never called"
    functions = {node.target.__name__ for node in graph.nodes if node.op == "call_function"}
    assert functions <= {"add"}
    assert not [node for node in graph.nodes if node.op == "call_method"]


def classes(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "network" in entry and "class" in entry["network"]:
        yield "network", entry["network"]["class"]
    for part in ("loss", "optimizer"):
        if part in entry.get("training", {}):
            yield part, entry["training"][part]["class"]


@pytest.mark.parametrize("config", CONFIGS)
def test_configs(config: str) -> None:
    text = (PROBLEMS / config).read_text(encoding="utf-8")
    assert text.startswith("# "), "the leading comment says what the config reproduces"
    leading = text[: text.index("\nexperiment:")]
    problem, topology = config.split("/")[:2]
    for part in ("Source", "easured", f"--problem={problem} --topology={topology}"):
        assert part in leading
    name = Path(config).stem
    assert name == "config" or f"--config={name}" in leading
    content = read(config)
    assert content.keys() <= SECTIONS
    homes = {"network": module(f"{problem}/{topology}", "network"), "loss": nn}
    for part, class_name in classes(content):
        assert hasattr(homes.get(part, torch.optim), class_name)


@pytest.mark.parametrize("config", [name for name in CONFIGS if "/configs/" in name])
def test_overlays_have_names_of_their_own(config: str) -> None:
    base = read(f"{'/'.join(config.split('/')[:2])}/config.yaml")
    assert read(config)["experiment"]["name"] != base["experiment"]["name"]
