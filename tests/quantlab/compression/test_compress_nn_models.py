"""`compress_NN_models`: the documented call, each of its arguments, and what it leaves behind."""

import copy
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.compression import Data, Recipe, UnreachableError, compress
from quantlab.compression.compress_nn_models import compress_NN_models
from quantlab.conversion import save_compressed_model
from quantlab.conversion.samples import codes_of
from quantlab.errors import UsageError
from quantlab.integer.interpreter import run

pytestmark = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
Batches = list[tuple[Tensor, Tensor]]
KB = 6.5


class Baseline(nn.Module):
    """A network that returns scores and what it makes on the way, as those of SparseComp do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.fc1 = nn.Conv2d(1, 8, 3), nn.Linear(8 * 9, 24)
        self.fc2, self.exit = nn.Linear(24, 3), nn.Linear(8 * 9, 3)

    def forward(self, x: Tensor, intermediate_outputs: bool = False) -> tuple[Tensor, Any]:
        pooled = torch.max_pool2d(torch.relu(self.conv1(x)), 2).flatten(1)
        scores = self.fc2(torch.relu(self.fc1(pooled)))
        return scores, [pooled] if intermediate_outputs else self.exit(pooled)


def model() -> Baseline:
    torch.manual_seed(0)
    return Baseline()


def loader(seed: int, factor: float = 1.0) -> Batches:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(64, 1, 8, 8, generator=generator)
    classes = (inputs.mean((1, 2, 3)) * 10).long() % 3
    return list(zip((factor * inputs).split(16), classes.split(16), strict=True))


def arguments(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "model": model(),
        "target_size": KB,
        "train_loader": loader(1),
        "test_loader": loader(2),
        "val_loader": loader(3),
        "num_epochs": 1,
        "layersFactorization": False,
        "board": "host",
    }
    return {**given, **changes}


def files_of(**changes: Any) -> dict[str, bytes]:
    return dict(compress_NN_models(**arguments(**changes)).result.files)


def test_the_network_is_compressed_in_place(tmp_path: Path) -> None:
    given = model()
    size = compress_NN_models(**arguments(model=given))
    result = size.result
    assert isinstance(size, int)
    assert size == result.report.flash <= 1000 * KB
    assert result.report.test_accuracy is not None
    assert result.network is given
    assert not any(module.training for module in given.modules())
    assert copy.copy(size).result is result
    ((inputs, _), *_) = loader(2)
    (output,) = result.program.outputs
    codes = run(result.program, {"input": codes_of(inputs, result.spec)})[output]
    with torch.no_grad():
        scores = given(inputs)
    assert torch.equal(scores.argmax(1), torch.from_numpy(codes.argmax(1)))
    assert "exit" not in {operation.layer for operation in result.program.operations}
    with pytest.warns(UserWarning, match="^spec: None given, and 1 sample"):
        save_compressed_model(given, "csr", input_data=inputs[0], directory=tmp_path / "c")
    saved = save_compressed_model(
        given, "csr", input_data=inputs[0], directory=tmp_path / "c", spec=result.spec
    )
    assert saved.spec == result.spec
    assert (saved.folder / "headers" / "000_conv1.h").is_file()


def test_what_fails_leaves_the_network_as_it_was() -> None:
    given = model()
    before, kind = copy.deepcopy(given.state_dict()), type(given)
    with pytest.raises(UsageError, match=r"budget\.flash: 100 bytes given, at least") as error:
        compress_NN_models(**arguments(model=given, target_size=0.1))
    assert not isinstance(error.value, UnreachableError)
    assert type(given) is kind
    assert all(torch.equal(before[name], now) for name, now in given.state_dict().items())


@pytest.mark.long
def test_arguments_are_those_of_compress() -> None:
    class Scores(Baseline):
        def forward(self, x: Tensor, intermediate_outputs: bool = False) -> Any:
            return super().forward(x)[0]

    torch.manual_seed(0)
    recipe = Recipe(epochs=6, learning_rate=0.01, weight_decay=0.002, ramp=1 / 6, low_rank=True)
    data = Data(train=loader(1), valid=loader(3), test=loader(2))
    wanted = compress(
        Scores(), data, budget=6_500, recipe=recipe, board="host",
        criterion=nn.functional.multi_margin_loss,
    )  # fmt: skip
    found = files_of(
        num_epochs=2,
        learning_rate=0.01,
        regularizerParam=0.001,
        fastCompression=True,
        layersFactorization=True,
        criterion=nn.MultiMarginLoss(),
        device="cpu",
    )
    assert found == wanted.files


@pytest.mark.long
def test_test_data_decides_nothing() -> None:
    assert files_of(test_loader=loader(9)) == files_of(test_loader=None) == files_of()


@pytest.mark.long
@pytest.mark.parametrize("changes", [{}, {"val_loader": None}])
def test_inputs_go_through_the_given_function(changes: dict[str, Any]) -> None:
    """Without validation batches a part of the training batches is held out, the same one."""
    wanted = files_of(
        train_loader=loader(1, 2.0), test_loader=loader(2, 2.0),
        **({"val_loader": loader(3, 2.0)} | changes),
    )  # fmt: skip
    assert files_of(calculateInputs=lambda x: 2 * x, **changes) == wanted


@pytest.mark.long
def test_a_name_keeps_the_c_and_goes_on(tmp_path: Path) -> None:
    name = str(tmp_path / "compressed_model")

    class Killed(Exception):
        """Stands for the end of a process."""

    def kill(what: str, done: int, total: int | None) -> None:
        raise Killed

    with pytest.raises(Killed):
        compress_NN_models(**arguments(modelName=name, progress=kill))
    found = files_of(modelName=name)
    assert found == files_of()
    folder = tmp_path / "compressed_model_6.5"
    assert (folder / "c" / "model.c").read_bytes() == found["model.c"]
    assert "6,500 on host" in (folder / "report.txt").read_text()


def test_hints_warn_once() -> None:
    hints = {"compressionStep": 0.2, "initialCompressionStep": 0.5, "accuracyAware": False}
    with (
        pytest.warns(UserWarning, match="a hint to the original, without effect here") as said,
        pytest.raises(UsageError),
    ):
        compress_NN_models(**arguments(train_loader=[], **hints))
    (warning,) = said
    assert str(warning.message).startswith(" and ".join(hints))
    assert warning.filename == __file__


def test_without_the_boards_compiler_that_of_this_machine_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.warns(UserWarning, match="board: arm-none-eabi-gcc is missing, so the bytes"),
        pytest.raises(UsageError, match="model: a Sequential given, a network with layers"),
    ):
        compress_NN_models(**arguments(model=nn.Sequential(nn.Flatten()), board=None))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target_size": 0}, "target_size: 0 given, a number above 0 allowed"),
        ({"target_size": "100"}, "target_size: a str given, a number allowed"),
        ({"target_size": float("nan")}, "target_size: nan given, a finite number allowed"),
        ({"num_epochs": 0}, "num_epochs: 0 given, a number above 0 allowed"),
        ({"num_epochs": 1.5}, "num_epochs: a float given, a number of epochs allowed"),
        ({"learning_rate": -1.0}, "learning_rate: -1.0 given, a number above 0 allowed"),
        ({"regularizerParam": -1}, "regularizerParam: -1 given, at least 0 allowed"),
        ({"compressionStep": 0}, "compressionStep: 0 given, a number above 0 allowed"),
        ({"criterion": "mse"}, "criterion: a str given, a function allowed"),
        ({"fastCompression": 1}, "fastCompression: a int given, True or False allowed"),
        ({"device": "gpu"}, "device: 'gpu' given: "),
        ({"train_loader": []}, "train_loader: 0 batches given, at least 1 needed"),
        ({"test_loader": []}, "test_loader: 0 batches given, at least 1 needed"),
        ({"val_loader": iter(())}, "val_loader: .* which can be read once only"),
        ({"train_loader": [(torch.rand(2, 3), torch.zeros(2))]}, "train_loader: .* does not take"),
        ({"calculateInputs": lambda x: None}, "calculateInputs: it returned a NoneType, a tensor"),
        ({"board": "c-m5"}, "board: 'c-m5' given"),
    ],
)
def test_bad_arguments_are_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        compress_NN_models(**arguments(**changes))
    assert "\n" not in str(error.value)
