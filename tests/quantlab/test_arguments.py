"""Arguments of other kinds than the documented names take: one line each, no traceback from within.

Every argument in the table gets every wrong thing; those that it takes are named beside it.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import quantlab
from quantlab.errors import UsageError
from quantlab.integer.tensor_type import U8, TensorType

RULES = [
    {"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 4}},
    {"select": "!first", "on": "input", "algorithm": {"kind": "lsq", "num_bits": 4}},
]
WRONG: Mapping[str, Any] = {
    "None": None,
    "an integer": 3,
    "a number": 1.5,
    "a word": "x",
    "no text": "",
    "a list": [],
    "a table": {},
    "a tuple": (),
    "a list of None": [None],
    "a table of None": {"x": None},
    "an object": object(),
    "a tensor": torch.ones(2),
    "an array": np.ones(2),
    "a class": dict,
    "a module": nn.ReLU(),
}
NUMBERS = {"an integer", "a number"}
CALLED = {"a class", "a module"}
EMPTY = {"a list", "a table", "a tuple", "no text"}
SPEC = quantlab.InputSpec(shape=(1, 2, 2), scale=(0.1,), zero_point=(0,))
X = np.zeros((2, 1, 2, 2), np.uint8)
TYPES = {"x": TensorType((3,), U8)}


def new_network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()


@cache
def quantized() -> nn.Module:
    network = new_network()
    quantlab.quantize(network, RULES)
    quantlab.calibrate(network, [torch.rand(4, 1, 2, 2)])
    return network


@cache
def program() -> quantlab.Program:
    return quantlab.lower(quantized(), SPEC)


def a_program(**changes: Any) -> quantlab.Program:
    return quantlab.Program(**{"inputs": TYPES, "operations": (), "outputs": ("x",), **changes})


def a_spec(**changes: Any) -> quantlab.InputSpec:
    return quantlab.InputSpec(
        **{"shape": (1, 2, 2), "scale": (1.0,), "zero_point": (0,), **changes}
    )


def an_encoding(**changes: Any) -> quantlab.Encoding:
    given = {"names": ("a",), "scale": np.ones(1), "zero_point": np.zeros(1, int), **changes}
    return quantlab.Encoding(**given)


def steps(given: Any) -> None:
    for _ in quantlab.Conductor([]).steps(given):
        pass


def export(**changes: Any) -> None:
    given = {"network": quantized(), "spec": SPEC, "folder": ".", "to": "program", **changes}
    quantlab.export_network(**given)


def save(**changes: Any) -> None:
    given = {
        "model": quantized(),
        "representation": "csr",
        "example_data": BATCHES[0],
        "spec": SPEC,
    }
    quantlab.save_compressed_model(**given | {"directory": "a_model"} | changes)


class Tapped(nn.Module):
    """A network with an intermediate output."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), nn.Linear(3, 2)

    def forward(self, x: Tensor, intermediate_outputs: bool = False) -> Any:
        features = self.body(x)
        scores = self.last(features)
        return (scores, [features]) if intermediate_outputs else scores


class Head(nn.Linear):
    """An exit for it."""

    pool_kernels = (1,)


def save_exit(**changes: Any) -> None:
    given = {"model": Tapped(), "early_exit_model": Head(3, 2), "representation": "csr"}
    given |= {"example_data": BATCHES[0].repeat(4, 1, 1, 1), "directory": "a_model"}
    quantlab.save_compressed_early_exit_model(**given | changes)


LABELED = [(torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 0, 1])) for _ in range(2)]


def compress(**changes: Any) -> None:
    given: dict[str, Any] = {"model": new_network(), "data": LABELED, "budget": 9_000}
    quantlab.compress(**given | {"board": "host"} | changes)


def compress_in_place(**changes: Any) -> None:
    given: dict[str, Any] = {"model": new_network(), "target_size": 9, "train_loader": LABELED}
    given |= {"test_loader": LABELED, "board": "host"}
    quantlab.compress_NN_models(**given | changes)


BATCHES = [torch.rand(4, 1, 2, 2)]
# What is called with each wrong thing, and what of it is right.
CALLS: Mapping[str, tuple[Callable[[Any], object], set[str]]] = {
    "Budget flash": (lambda x: quantlab.Budget(flash=x), {"an integer"}),
    "Budget ram": (lambda x: quantlab.Budget(ram=x), {"an integer"}),
    "Conductor controllers": (quantlab.Conductor, EMPTY),
    "Conductor optimizer": (lambda x: quantlab.Conductor([], x), {"None"}),
    "Conductor seed": (lambda x: quantlab.Conductor([], seed=x), {"an integer"}),
    "Conductor communicator": (lambda x: quantlab.Conductor([], communicator=x), {"None"}),
    "Conductor epochs": (lambda x: list(quantlab.Conductor([]).epochs(x)), {"an integer"}),
    "Conductor steps": (
        steps,
        EMPTY | {"a word", "a list of None", "a table of None", "a tensor", "an array"},
    ),
    "Conductor state": (lambda x: quantlab.Conductor([]).load_state_dict(x), set()),
    "InputSpec shape": (lambda x: a_spec(shape=x), set()),
    "InputSpec scale": (lambda x: a_spec(scale=x), set()),
    "InputSpec zero_point": (lambda x: a_spec(zero_point=x), set()),
    "InputSpec a size": (lambda x: a_spec(shape=(1, x, 2)), {"an integer"}),
    "InputSpec a scale": (lambda x: a_spec(scale=(x,)), {"an integer", "a number"}),
    "InputSpec a zero point": (lambda x: a_spec(zero_point=(x,)), {"an integer"}),
    "InputSpec encoding": (lambda x: a_spec(encoding=x), {"None"}),
    "Encoding names": (lambda x: an_encoding(names=x), set()),
    "Encoding a name": (lambda x: an_encoding(names=(x,)), {"a word", "no text"}),
    "Encoding scale": (lambda x: an_encoding(scale=x), set()),
    "Encoding zero_point": (lambda x: an_encoding(zero_point=x), set()),
    "Program inputs": (lambda x: a_program(inputs=x), set()),
    "Program operations": (lambda x: a_program(operations=x), {"a tuple"}),
    "Program outputs": (lambda x: a_program(outputs=x), set()),
    "Program reals": (lambda x: a_program(reals=x), {"a table"}),
    "Program rounded": (lambda x: a_program(rounded=x), {"a table"}),
    "Program quantizers": (lambda x: a_program(quantizers=x), {"a table"}),
    "Program encodings": (lambda x: a_program(encodings=x), {"a table"}),
    "QuantizeConfig rules": (lambda x: quantlab.QuantizeConfig(rules=x), {"a list"}),
    "QuantizeConfig a rule": (lambda x: quantlab.QuantizeConfig(rules=[x]), set()),
    "calibrate network": (lambda x: quantlab.calibrate(x, BATCHES), set()),
    "calibrate batches": (lambda x: quantlab.calibrate(quantized(), x), set()),
    "calibrate a batch": (lambda x: quantlab.calibrate(quantized(), [x]), set()),
    "calibrate communicator": (
        lambda x: quantlab.calibrate(quantized(), BATCHES, communicator=x),
        set(),
    ),
    "calibrate progress": (
        lambda x: quantlab.calibrate(quantized(), BATCHES, progress=x),
        {"a class", "a module"},
    ),
    "compress model": (lambda x: compress(model=x), set()),
    "compress data": (lambda x: compress(data=x), set()),
    "compress budget": (lambda x: compress(budget=x), {"an integer"}),
    "compress floor": (lambda x: compress(floor=x), {"None", "an integer", "a number"}),
    "compress recipe": (lambda x: compress(recipe=x), {"None"}),
    "compress folder": (lambda x: compress(folder=x), {"None", "a word", "no text"}),
    "compress board": (lambda x: compress(board=x), set()),
    "compress spec": (lambda x: compress(spec=x), {"None"}),
    "compress criterion": (lambda x: compress(criterion=x), CALLED | {"None"}),
    "compress progress": (lambda x: compress(progress=x), CALLED),
    **{
        f"compress_NN_models {name}": (lambda x, name=name: compress_in_place(**{name: x}), right)
        for name, right in {
            "model": set(),
            "target_size": NUMBERS,
            "train_loader": set(),
            "test_loader": {"None"},
            "val_loader": {"None"},
            "num_epochs": {"an integer"},
            "learning_rate": NUMBERS,
            "criterion": CALLED | {"None"},
            "regularizerParam": NUMBERS,
            "compressionStep": NUMBERS,
            "initialCompressionStep": NUMBERS,
            "fastCompression": set(),
            "modelName": {"None", "a word", "no text"},
            "device": {"None"},
            "accuracyAware": set(),
            "layersFactorization": set(),
            "calculateInputs": CALLED | {"None"},
            "board": {"None"},
            "progress": CALLED,
        }.items()
    },
    "export_network network": (lambda x: export(network=x), set()),
    "export_network spec": (lambda x: export(spec=x), set()),
    "export_network folder": (lambda x: export(folder=x), {"a word", "no text"}),
    "export_network to": (lambda x: export(to=x), {"None"}),
    "export_network samples": (lambda x: export(samples=x), {"None"}),
    "lower network": (lambda x: quantlab.lower(x, SPEC), set()),
    "lower spec": (lambda x: quantlab.lower(quantized(), x), set()),
    "lower samples": (lambda x: quantlab.lower(quantized(), SPEC, x), {"None"}),
    "parameter_groups network": (quantlab.parameter_groups, {"a module"}),
    "parameter_groups others": (lambda x: quantlab.parameter_groups(new_network(), x), EMPTY),
    "quantize network": (lambda x: quantlab.quantize(x, RULES), set()),
    "quantize rules": (lambda x: quantlab.quantize(new_network(), x), {"a list", "a tuple"}),
    "rate_of network": (quantlab.rate_of, {"a module"}),
    "run program": (lambda x: quantlab.run(x, {"input": X}), set()),
    "run inputs": (lambda x: quantlab.run(program(), x), set()),
    "run an input": (lambda x: quantlab.run(program(), {"input": x}), set()),
    "save_compressed_early_exit_model model": (lambda x: save_exit(model=x), set()),
    "save_compressed_early_exit_model early_exit_model": (
        lambda x: save_exit(early_exit_model=x),
        set(),
    ),
    "save_compressed_early_exit_model representation": (
        lambda x: save_exit(representation=x),
        set(),
    ),
    "save_compressed_early_exit_model simulate_exit": (
        lambda x: save_exit(simulate_exit=x),
        {"None"},
    ),
    "save_compressed_early_exit_model input_data": (lambda x: save_exit(input_data=x), {"None"}),
    "save_compressed_early_exit_model example_data": (
        lambda x: save_exit(example_data=x),
        set(),
    ),
    "save_compressed_early_exit_model example_targets": (
        lambda x: save_exit(example_targets=x),
        {"None"},
    ),
    "save_compressed_early_exit_model directory": (
        lambda x: save_exit(directory=x),
        {"a word", "no text"},
    ),
    "save_compressed_early_exit_model dtype": (lambda x: save_exit(dtype=x), set()),
    "save_compressed_early_exit_model floor": (
        lambda x: save_exit(floor=x),
        {"None", "an integer", "a number"},
    ),
    "save_compressed_early_exit_model margin": (
        lambda x: save_exit(margin=x),
        {"None", "an integer", "a number"},
    ),
    "save_compressed_early_exit_model spec": (lambda x: save_exit(spec=x), {"None"}),
    "save_compressed_early_exit_model sum_bits": (lambda x: save_exit(sum_bits=x), {"None"}),
    "save_compressed_early_exit_model ram": (lambda x: save_exit(ram=x), {"None"}),
    "save_compressed_early_exit_model flash": (lambda x: save_exit(flash=x), {"None"}),
    "save_compressed_model model": (lambda x: save(model=x), set()),
    "save_compressed_model representation": (lambda x: save(representation=x), set()),
    "save_compressed_model input_data": (lambda x: save(input_data=x), {"None"}),
    "save_compressed_model example_data": (lambda x: save(example_data=x, spec=None), set()),
    "save_compressed_model example_targets": (lambda x: save(example_targets=x), {"None"}),
    "save_compressed_model directory": (lambda x: save(directory=x), {"a word", "no text"}),
    "save_compressed_model dtype": (lambda x: save(dtype=x), set()),
    "save_compressed_model intermittent": (lambda x: save(intermittent=x), set()),
    "save_compressed_model spec": (lambda x: save(spec=x), {"None"}),
    "save_compressed_model sum_bits": (lambda x: save(sum_bits=x), {"None"}),
    "save_compressed_model ram": (lambda x: save(ram=x), {"None"}),
    "save_compressed_model flash": (lambda x: save(flash=x), {"None"}),
    "select": (quantlab.select, {"a word"}),
    "sparsify network": (lambda x: quantlab.sparsify(x, {}), {"a module"}),
    "sparsify masks": (lambda x: quantlab.sparsify(new_network(), x), {"a table"}),
    "sparsify layers": (lambda x: quantlab.sparsify(new_network(), {}, x), set()),
    "swap_modules_with_sparse model": (
        lambda x: quantlab.swap_modules_with_sparse(x, (2, 4)),
        set(),
    ),
    "swap_modules_with_sparse input_shape": (
        lambda x: quantlab.swap_modules_with_sparse(new_network(), x),
        set(),
    ),
    "verify program": (lambda x: quantlab.verify(x, [{"input": X}], "numpy"), set()),
    "verify batches": (lambda x: quantlab.verify(program(), x, "numpy"), set()),
    "verify a batch": (lambda x: quantlab.verify(program(), [{"input": x}], "numpy"), set()),
    "verify backends": (lambda x: quantlab.verify(program(), [{"input": X}], x), {"None"}),
}


def test_all_names_are_tried() -> None:
    assert {name.split()[0] for name in CALLS} == set(quantlab.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_what_an_argument_is_not_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, right = CALLS[name]
    for kind in WRONG.keys() - right:
        with pytest.raises(UsageError) as caught:
            call(WRONG[kind])
        assert "\n" not in str(caught.value), kind
        assert not any(tmp_path.iterdir()), kind
