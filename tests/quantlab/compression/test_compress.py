"""`compress`: the budget holds, the C computes the program, and a killed run goes on."""

import copy
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from quantlab.compression import Budget, Compressed, Data, Recipe, UnreachableError, compress
from quantlab.deploy.c.footprint import flash_bytes
from quantlab.errors import UsageError
from quantlab.integer.lower import InputSpec
from tests.waiting import OnDevice

pytestmark = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
RECIPE = Recipe(epochs=4, learning_rate=5e-3, calibration=64, encodings=("small",))
BUDGET = 9_000


def images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images, and in which third they are brightest."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.rand(count, 1, 8, 8, generator=generator)
    classes = torch.arange(count) % 3
    for image, place in zip(found, classes.tolist(), strict=True):
        image[:, :, 3 * place : 3 * place + 2] += 0.3
    classes[::9] = (classes[::9] + 1) % 3  # mistaken
    return found / 2, classes


def batches(count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of 32."""
    inputs, classes = images(count, seed)
    return list(zip(inputs.split(32), classes.split(32), strict=True))


def data() -> Data:
    return Data(train=batches(256, 0), valid=batches(96, 1), test=batches(96, 2))


def network() -> nn.Module:
    """A trained network in float."""
    return copy.deepcopy(_trained())


@cache
def _trained() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3),
    )  # fmt: skip
    optimizer = torch.optim.Adam(made.parameters(), 0.01)
    for _ in range(6):
        for inputs, classes in batches(256, 0):
            optimizer.zero_grad()
            nn.functional.cross_entropy(made(inputs), classes).backward()
            optimizer.step()
    return made.eval()


def compressed(folder: Path | None = None, **changes: Any) -> Compressed:
    given: dict[str, Any] = {"budget": BUDGET, "recipe": RECIPE, "board": "host", "folder": folder}
    return compress(network(), changes.pop("data", None) or data(), **{**given, **changes})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    """A compression that nothing stopped, in a folder."""
    return compressed(tmp_path_factory.mktemp("compressed") / "run")


def test_objects_fit_the_budget_and_rows_add_up(whole: Compressed) -> None:
    report, folder = whole.report, whole.folder
    assert folder is not None
    assert flash_bytes(folder / "c") == report.flash <= BUDGET < report.dense_flash
    assert sum(row.total for row in report.footprint.rows) == report.flash
    assert report.accuracy > 70
    assert report.test_accuracy is not None
    assert "of 9,000 on host" in (folder / "report.txt").read_text()


class Killed(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize(
    "last", [1, pytest.param(3, marks=pytest.mark.long), pytest.param(4, marks=pytest.mark.long)]
)
def test_what_was_killed_goes_on_to_the_same_bytes(
    tmp_path: Path, last: int, whole: Compressed
) -> None:
    def kill(what: str, done: int, total: int | None) -> None:
        if done == last:
            raise Killed

    with pytest.raises(Killed):
        compressed(tmp_path, progress=kill)
    assert compressed(tmp_path).files == whole.files


@pytest.mark.long
def test_nothing_is_kept_of_an_epoch_with_a_wrong_class_on_a_gpu(tmp_path: Path) -> None:
    inputs, classes = images(64, 0)
    classes[40] = 3
    train = OnDevice([(inputs[:32], classes[:32]), (inputs[32:], classes[32:])])
    with pytest.raises(UsageError, match=r"data.train: class 3 given, 0 to 2 allowed"):
        compressed(
            tmp_path,
            data=Data(train=train, valid=batches(96, 1)),
            budget=Budget(ram=100_000),  # weights are removed in steps that may wait
        )
    assert sorted(path.name for path in tmp_path.glob("state/*")) == ["compression.json"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"budget": 100}, "budget.flash: 100 bytes given, at least"),
        ({"budget": Budget(ram=10)}, "budget.ram: .* bytes needed, 10 given"),
        ({"budget": True}, "budget: a bool given"),
        ({"budget": "9" * 400 + " KB"}, "budget.flash: more than .* bytes given"),
        ({"folder": ""}, "folder: '' given, a path allowed"),
        (
            {
                "data": Data(
                    train=batches(64, 0), test=[(torch.rand(2, 1, 8, 8), torch.tensor([0, 3]))]
                )
            },
            "data.test: class 3 given, 0 to 2 allowed",
        ),
        ({"budget": "20 XB"}, "budget.flash: '20 XB' given, bytes such as"),
        ({"floor": 100.0}, "floor: 100 % given, at most the"),
        ({"floor": 0.97}, "floor: 0.97 given; it is in percent: 97"),
        ({"board": "c-m5"}, "board: 'c-m5' given, .*; did you mean 'c-m55'"),
        ({"data": Data(train=[])}, "data.train: 0 batches given, at least 1 needed"),
        ({"data": Data(train=iter(()))}, "data.train: .* can be read once only"),
        ({"data": Data(train=batches(64, 0), valid=[])}, "data.valid: 0 batches given"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        compressed(**changes)
    assert "\n" not in str(error.value)


def test_a_floor_that_does_not_hold_gives_the_curve() -> None:
    recipe = Recipe(epochs=4, learning_rate=1e-6, calibration=64, distill=0.0, encodings=("small",))
    with pytest.raises(UnreachableError, match=r"floor: .* % wanted, .* reached in") as error:
        compressed(budget=4_500, floor=80.0, recipe=recipe)
    assert [point.epoch for point in error.value.curve] == [0, 1]
    assert error.value.smallest is not None


def test_what_stands_in_the_folder_is_said_before_training(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for folder, said in ((tmp_path, "mine.txt: no file of"), (tmp_path / "file", "no folder")):
        with pytest.raises(UsageError, match=said):
            compressed(folder, progress=lambda *_: pytest.fail("trained"))


def test_another_input_is_another_compression(tmp_path: Path) -> None:
    def kill(what: str, done: int, total: int | None) -> None:
        raise Killed

    with pytest.raises(Killed):
        compressed(tmp_path, progress=kill)
    spec = InputSpec(shape=(1, 8, 8), scale=(1 / 100,), zero_point=(0,))
    with pytest.raises(UsageError, match=r"a compression with spec .* lies there"):
        compressed(tmp_path, spec=spec)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_frozen_parameters_are_trained_in_any_mode(mode: Any) -> None:
    frozen = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    frozen.requires_grad_(False)
    recipe = Recipe(epochs=3, calibration=32, encodings=("small",))
    given = data()
    with mode():
        made = compress(frozen, given, budget=Budget(ram=1_000), recipe=recipe, board="host")
    for name, before in frozen.named_parameters():
        assert not torch.equal(made.network.get_parameter(name), before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda network: network.to("meta"), "'0.weight' on the device meta given"),
        (lambda network: network[0], "a bare Conv2d given; nn.Sequential"),
        (
            lambda network: nn.Sequential(nn.Flatten(), weight_norm(nn.Linear(64, 3))),
            "layer '1': a weight computed by a parametrization given",
        ),
    ],
)
def test_networks_that_have_no_weights_of_their_own(change: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compress(change(network()), data(), budget=BUDGET, recipe=RECIPE, board="host")


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_what_cannot_be_traced_is_refused() -> None:
    made = nn.Sequential(nn.Flatten(), Branches(), nn.Linear(64, 3))
    with pytest.raises(UsageError):
        compress(made, data(), budget=BUDGET, recipe=RECIPE, board="host")


@pytest.mark.long
def test_a_tenth_of_the_samples_is_held_out() -> None:
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*images(320, 0)), batch_size=32, shuffle=True
    )
    made = compress(network(), loader, budget=BUDGET, recipe=RECIPE, board="host")
    assert made.report.test_accuracy is None
    assert made.report.flash <= BUDGET
