"""Networks, losses, optimizers and schedules as a configuration describes them."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn, optim

from experiments.configuration.documents import Document, parse_document
from experiments.configuration.overrides import apply_overrides, parse_override
from experiments.configuration.section import validate
from experiments.experiment.assembly import assemble, build_network
from experiments.experiment.config import Config
from experiments.library import Library, Problem
from experiments.protocols import DataModule, Preprocess
from experiments.runs.checkpoints import Checkpoints
from experiments.training.assembly import Assembly
from experiments.training.random_state import seed_everything
from experiments.training.weights import load_weights
from problems.images.meter import ClassificationMeter
from quantlab.errors import UsageError

CPU = torch.device("cpu")
TEXT = """\
network:
  class: Net
  params: {width: 2}
training:
  loss: {class: CrossEntropyLoss}
  optimizer: {class: SGD, params: {lr: 0.25}}
  lr_scheduler: {class: Constant}
"""


class Net(nn.Module):
    """A convolution, a part that is not trained, a linear layer; seen as `body` and `head`."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.body = nn.Conv2d(2, width, 3)
        self.fixed = nn.Linear(2, 2).requires_grad_(False)
        self.head = nn.Linear(width, 4)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        scores: Tensor = self.head(self.body(x_NCHW).mean((2, 3)))
        return scores


class Penalty(nn.Module):
    """A loss that looks at the network."""

    def __init__(self, network: nn.Module, factor: float = 1.0) -> None:
        super().__init__()
        self.seen = [network]
        self.factor = factor


class Weighted(nn.Module):
    """Has a parameter of its own beside those of the network, which it holds."""

    def __init__(self, network) -> None:  # type: ignore[no-untyped-def]  # as users write
        super().__init__()
        self.network = network
        self.weight = nn.Parameter(torch.ones(()))


class L1Loss(nn.Module):
    """Hides the one of torch.nn."""


def module(*classes: type[nn.Module]) -> ModuleType:
    made = ModuleType("library")
    for each in classes:
        setattr(made, each.__name__, each)
    return made


LIBRARY = Library(
    name="Topology",
    folder=Path("none"),
    network=module(Net),
    loss=module(Penalty, Weighted, L1Loss),
    preprocess=cast(Preprocess, SimpleNamespace()),
    postprocess=lambda outputs: outputs,
    sources={},
)


def problem(folder: Path = Path("none")) -> Problem:
    data = cast(DataModule, SimpleNamespace())
    return Problem(name="Toy", folder=folder, data=data, meter=ClassificationMeter)


def configured(*overrides: str, text: str = TEXT) -> tuple[Config, Document]:
    parsed = [parse_override(*override.split("=", 1)) for override in overrides]
    document = apply_overrides(parse_document(text, name="config.yaml"), parsed)
    return validate(Config, document), document


def build(*overrides: str, text: str = TEXT, seed: int = 5, num_ranks: int = 1) -> Assembly:
    config, document = configured(*overrides, text=text)
    return assemble(
        problem(), LIBRARY, config, document, seed=seed, device=CPU, num_ranks=num_ranks
    )


def network(*overrides: str, seed: int = 5, folder: Path = Path("none")) -> nn.Module:
    config, document = configured(*overrides)
    return build_network(problem(folder), LIBRARY, config, document, seed)[0]


def assert_equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_what_is_described_is_built() -> None:
    made = build("training.optimizer.params.momentum=0.5", "training.lr_scheduler.class=Linear")
    assert isinstance(made.network, Net)
    assert made.network.head.in_features == 2
    assert isinstance(made.loss, nn.CrossEntropyLoss)
    assert isinstance(made.optimizer, optim.SGD)
    assert made.optimizer.param_groups[0]["momentum"] == 0.5
    made.learning_rate.on_step(5.0, 10.0)
    assert made.learning_rate.value == 0.125
    assert made.controllers == []
    assert made.ema is None


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("Net", "Nit", "network.class: no Module named 'Nit'; did you mean 'Net'? (config.yaml:2)"),
        (
            "width",
            "widht",
            "network.params.widht: Net has no such parameter; did you mean 'width'? "
            "(config.yaml:3)",
        ),
        (
            "CrossEntropyLoss",
            "CrosEntropyLoss",
            "training.loss.class: no Module named 'CrosEntropyLoss'; "
            "did you mean 'CrossEntropyLoss'? (config.yaml:5)",
        ),
        (
            "SGD",
            "SDG",
            "training.optimizer.class: no Optimizer named 'SDG'; did you mean 'SGD'? "
            "(config.yaml:6)",
        ),
        (
            "lr: 0.25",
            "lr: -1",
            "training.optimizer.params: SGD refuses them: Invalid learning rate: -1.0 "
            "(config.yaml:6)",
        ),
        (
            "Constant",
            "Constent",
            "training.lr_scheduler.class: no LRScheduler named 'Constent'; "
            "did you mean 'Constant'? (config.yaml:7)",
        ),
        (
            "Constant",
            "StepLR",
            "training.lr_scheduler.params: StepLR needs step_size (config.yaml:7)",
        ),
    ],
)
def test_what_is_not_there_is_named_with_its_line(written: str, instead: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(text=TEXT.replace(written, instead))
    assert str(caught.value) == message


def test_the_network_is_a_function_of_its_seed() -> None:
    seed_everything(1)
    one = network(seed=5).state_dict()
    seed_everything(2)
    assert_equal(network(seed=5).state_dict(), one)
    assert not torch.equal(network(seed=6).state_dict()["head.weight"], one["head.weight"])


def test_only_what_is_trained_goes_to_the_optimizer() -> None:
    made = build()
    given = {id(p) for group in made.optimizer.param_groups for p in group["params"]}
    named = {name for name, p in made.network.named_parameters() if id(p) in given}
    assert named == {"body.weight", "body.bias", "head.weight", "head.bias"}


@pytest.mark.parametrize("num_ranks", [1, 4])
@pytest.mark.parametrize(("scaling", "factor"), [("none", 0), ("linear", 1)])
@pytest.mark.parametrize(
    ("schedule", "share"),
    [("{class: Linear}", 0.5), ("{class: ExponentialLR, params: {gamma: 0.5}}", 1)],
)
def test_linear_scaling_multiplies_the_rate_by_the_number_of_processes(
    num_ranks: int, scaling: str, factor: int, schedule: str, share: float
) -> None:
    overrides = (f"training.lr_scaling={scaling}", f"training.lr_scheduler={schedule}")
    made = build(*overrides, num_ranks=num_ranks)
    base = 0.25 * (num_ranks if factor else 1)
    assert made.learning_rate.value == base
    made.learning_rate.on_step(5.0, 10.0)
    assert made.learning_rate.value == base * share
    made.optimizer.step()
    made.learning_rate.on_epoch_end(None)
    assert made.learning_rate.value == base * 0.5


def test_a_loss_of_the_library_comes_first_and_gets_the_network() -> None:
    made = build("training.loss={class: Penalty, params: {factor: 2}}")
    assert isinstance(made.loss, Penalty)
    assert made.loss.seen[0] is made.network
    assert made.loss.factor == 2.0
    assert isinstance(build("training.loss.class=L1Loss").loss, L1Loss)
    assert isinstance(build("training.loss.class=MSELoss").loss, nn.MSELoss)


def test_what_a_loss_learns_is_trained_too() -> None:
    made = build("training.loss.class=Weighted")
    assert isinstance(made.loss, Weighted)
    given = {id(p) for group in made.optimizer.param_groups for p in group["params"]}
    expected = [p for p in made.network.parameters() if p.requires_grad] + [made.loss.weight]
    assert given == {id(p) for p in expected}
    assert sum(len(group["params"]) for group in made.optimizer.param_groups) == len(given)


def test_optimizers_that_evaluate_the_loss_themselves_are_refused() -> None:
    with pytest.raises(UsageError, match=r"training\.optimizer\.class: LBFGS .*config\.yaml:6"):
        build(text=TEXT.replace("class: SGD", "class: LBFGS"))


def test_precision_memory_format_and_average() -> None:
    made = build(
        "training.precision=float64", "training.channels_last=true", "training.ema.decay=0.5"
    )
    state = made.network.state_dict()
    assert {tensor.dtype for tensor in state.values()} == {torch.float64}
    assert state["body.weight"].is_contiguous(memory_format=torch.channels_last)
    assert not state["body.weight"].is_contiguous()
    assert made.ema is not None
    assert_equal(made.ema.state_dict(), state)
    assert {tensor.dtype for tensor in build().network.state_dict().values()} == {torch.float32}


def test_each_rule_of_quantization_has_a_controller_and_no_parameter_is_forgotten() -> None:
    algorithm = "algorithm: {kind: ste, num_bits: 4}"
    rules = [f"{{select: {name}, on: weight, {algorithm}}}" for name in ("head", "body")]
    made = build(f"quantize.rules=[{', '.join(rules)}]")
    assert len(made.controllers) == 2
    given = {id(p) for group in made.optimizer.param_groups for p in group["params"]}
    assert given == {id(p) for p in made.network.parameters() if p.requires_grad}
    assert len(made.network.state_dict()) > len(build().network.state_dict())


def test_weights_that_fit_are_loaded() -> None:
    target, source = network(seed=1), network(seed=2).state_dict()
    load_weights(target, source, "x.ckpt")
    assert_equal(target.state_dict(), source)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head.bias": None}, "x.ckpt: has no entry 'head.bias'; is it of another topology?"),
        (
            {"extra": torch.zeros(1)},
            "x.ckpt: has a superfluous entry 'extra'; is it of another topology?",
        ),
        (
            {"head.weight": torch.zeros(4, 7)},
            "x.ckpt: head.weight is (4, 7), the network's is (4, 2); is it of another topology?",
        ),
        (
            {"head.bias": torch.zeros(()), "body.bias": None, "zzz": torch.zeros(1)},
            "x.ckpt: has no entry 'body.bias'; is it of another topology?",
        ),
    ],
)
def test_the_first_misfit_is_named_and_nothing_loaded(
    changes: dict[str, Tensor | None], message: str
) -> None:
    target = network(seed=1)
    state = {**network(seed=2).state_dict(), **changes}
    with pytest.raises(UsageError) as caught:
        load_weights(target, {n: t for n, t in state.items() if t is not None}, "x.ckpt")
    assert str(caught.value) == message
    assert_equal(target.state_dict(), network(seed=1).state_dict())


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_file_of_weights_to_start_from(tmp_path: Path, is_wrapped: bool) -> None:
    source = network(seed=9).state_dict()
    torch.save({"network": source, "step": 3} if is_wrapped else source, tmp_path / "w.pt")
    found = network(f"network.pretrained.file={tmp_path}/w.pt")
    assert_equal(found.state_dict(), source)


def test_the_weights_of_a_run_to_start_from(tmp_path: Path) -> None:
    source = network(seed=9).state_dict()
    saves = tmp_path / "logs" / "exp003" / "fold1" / "saves"
    Checkpoints(saves).save(["best"], {"network": source, "ema": None})
    chosen = "network.pretrained={exp_id: 3, fold: 1, checkpoint: best}"
    assert_equal(network(chosen, folder=tmp_path).state_dict(), source)


def test_averaged_weights_come_before_the_last_ones(tmp_path: Path) -> None:
    last, average = network(seed=8).state_dict(), network(seed=9).state_dict()
    torch.save({"network": last, "ema": average}, tmp_path / "w.pt")
    saves = tmp_path / "logs" / "exp000" / "fold0" / "saves"
    Checkpoints(saves).save(["last"], {"network": last, "ema": average})
    for source in (f"file={tmp_path}/w.pt", "exp_id=0"):
        found = network(f"network.pretrained.{source}", folder=tmp_path)
        assert_equal(found.state_dict(), average)


@pytest.mark.parametrize("prefixes", [["head."], ["body.w", "head"], ["body", "fixed", "head"]])
def test_prefixes_choose_what_is_taken(tmp_path: Path, prefixes: list[str]) -> None:
    source, own = network(seed=9).state_dict(), network(seed=5).state_dict()
    superfluous = {"other.weight": torch.zeros(3)}
    torch.save({**source, **superfluous}, tmp_path / "w.pt")
    listed = ", ".join(prefixes)
    found = network(f"network.pretrained={{file: {tmp_path}/w.pt, prefixes: [{listed}]}}", seed=5)
    expected = {
        name: source[name] if any(name.startswith(prefix) for prefix in prefixes) else own[name]
        for name in own
    }
    assert_equal(found.state_dict(), expected)


@pytest.mark.parametrize(
    ("saved", "prefixes", "message"),
    [
        ({"head.bias": torch.zeros(4)}, "", "{file}: has no entry 'body.bias'; is it of another"),
        (
            {"head.bias": torch.zeros(4)},
            "tail, tile",
            "network.pretrained.prefixes: ['tail', 'tile'] match nothing in {file}",
        ),
        ({"head.gain": torch.zeros(4)}, "head", "{file}: has a superfluous entry 'head.gain'; is"),
        ({"head.bias": torch.zeros(3)}, "head", "{file}: head.bias is (3,), the network's is (4,)"),
        ([torch.zeros(1)], "", "network.pretrained.file: {file} holds no network weights"),
        ({"epoch": 3}, "", "network.pretrained.file: {file} holds no network weights"),
        ({"network": None}, "", "network.pretrained.file: {file} holds no network weights"),
        (b"torn", "", "network.pretrained.file: {file} is no checkpoint of tensors"),
        (b"", "", "network.pretrained.file: {file} is no checkpoint of tensors"),
        (Path("code"), "", "network.pretrained.file: {file} is no checkpoint of tensors"),
        (None, "", "network.pretrained.file: {file}: No such file or directory"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path: Path, saved: Any, prefixes: str, message: str) -> None:
    file = tmp_path / "w.pt"
    if isinstance(saved, bytes):
        file.write_bytes(saved)
    elif saved is not None:
        torch.save(saved, file)
    with pytest.raises(UsageError) as caught:
        network(f"network.pretrained={{file: {file}, prefixes: [{prefixes}]}}")
    assert str(caught.value).startswith(message.format(file=file))
    assert len(str(caught.value).splitlines()) == 1
