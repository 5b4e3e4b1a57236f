"""docs/migration.md: the calls that compress, each option, and the functions beside them."""

import functools
import inspect
import warnings
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import quantlab
from tests.docs.markdown import CHECKOUT, read_page, spans

PAGE = read_page(CHECKOUT / "docs" / "migration.md")
ROWS = [row for row in PAGE.section("Compression by SparseComp").rows if row[1] != "none"]
IMPORTS = [row for row in ROWS if "from quantlab import" in row[1]]
CALLS = [row for row in ROWS if "compress_NN_models(" in row[1]]
OTHERS = [row for row in ROWS if row not in IMPORTS and row not in CALLS]
needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
Batches = list[tuple[Tensor, Tensor]]


class Baseline(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.fc1 = nn.Conv2d(1, 4, 3), nn.Linear(4 * 9, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.fc1(torch.max_pool2d(torch.relu(self.conv1(x)), 2).flatten(1))
        return scores


class TupleModel(Baseline):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


def loader(seed: int) -> Batches:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(32, 1, 8, 8, generator=generator)
    return list(zip(inputs.split(8), (torch.arange(32) % 3).split(8), strict=True))


def names() -> dict[str, Any]:
    torch.manual_seed(0)
    few = {"board": "host", "num_epochs": 1, "layersFactorization": False}
    ((single_sample, _), *_) = loader(2)
    return {
        "torch": torch,
        "model": Baseline(),
        "tuple_model": TupleModel(),
        "train_loader": loader(1),
        "test_loader": loader(2),
        "val_loader": loader(3),
        "single_sample": single_sample[0],
        "samples": torch.rand(32, 1, 8, 8),
        "save_compressed_model": quantlab.save_compressed_model,
        "compress_NN_models": functools.partial(quantlab.compress_NN_models, **few),
    }


def run(row: list[str], given: dict[str, Any]) -> Any:
    """Run what stands in the column `here`; return what its last expression gives."""
    *before, last = spans(row[1])
    for line in before:
        exec(compile(line, "migration.md", "exec"), given)
    return eval(compile(last, "migration.md", "eval"), given)


def test_each_argument_is_told() -> None:
    told = "\n".join(row[0] + row[1] for row in CALLS)
    parameters = inspect.signature(quantlab.compress_NN_models).parameters
    documented = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert [name for name in documented if name not in told] == []
    call = "compress_NN_models(model, 100, train_loader, test_loader, val_loader=val_loader)"
    assert call in told
    for row in IMPORTS:
        exec(compile(spans(row[1])[0], "migration.md", "exec"), {})


def test_each_row_is_python() -> None:
    for row in ROWS:
        for line in spans(row[1]):
            compile(line, "migration.md", "exec")


@pytest.mark.long
@needs_compiler
@pytest.mark.parametrize("row", CALLS, ids=lambda row: row[0])
def test_calls(row: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = names()
    (call,) = spans(row[1])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        size = run(row, given)
    assert isinstance(size, int)
    assert size <= 12_500
    assert size.result.network is given["tuple_model" if "tuple" in call else "model"]
    assert len(said) == ("which warn" in row[2])
    assert (tmp_path / "compressed_model_100" / "c" / "model.c").is_file() == ("modelName" in call)


@pytest.mark.long
@needs_compiler
def test_the_functions_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = names()
    compressed = names()
    call = next(row for row in CALLS if "val_loader=val_loader" in row[1])
    given["size"] = compressed["size"] = run(call, compressed)
    found = {row[0]: run(row, given) for row in OTHERS if "save_" not in row[1]}
    assert list(found["`get_layers(model)`"]) == ["conv1", "fc1"]
    assert len(found["`compute_sparsity_for_layers(layers)`"]) == 2
    assert "flash: " in capsys.readouterr().out
    (written,) = [row for row in ROWS if "save_compressed_model" in row[1]]
    assert run(written, compressed).folder == Path("my_model")
