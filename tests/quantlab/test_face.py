"""`import quantlab`: the documented names, each imported when it is used."""

import ast
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

import quantlab
from quantlab.errors import UsageError

SOURCE = ast.parse(Path(quantlab.__file__).read_text())


def imported_for_types() -> dict[str, str]:
    """Return the module of each name that type checkers see."""
    (block,) = [node for node in SOURCE.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_type_checkers_see_the_same_names() -> None:
    assert sorted(imported_for_types()) == quantlab.__all__
    for name, module in imported_for_types().items():
        assert getattr(quantlab, name) is getattr(import_module(module), name)
    assert set(quantlab.__all__) < set(dir(quantlab))


def test_other_names_are_no_attributes() -> None:
    misspelt = "quantise"
    with pytest.raises(AttributeError, match="module 'quantlab' has no attribute 'quantise'"):
        getattr(quantlab, misspelt)


def test_from_a_network_to_verified_files(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    rule = {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 4}}
    inputs = {"select": "!first", "on": "input", "algorithm": {"kind": "ste", "num_bits": 4}}
    quantlab.quantize(network, quantlab.QuantizeConfig(rules=[rule, inputs]).rules)
    raw = torch.randint(256, (8, 1, 8, 8), dtype=torch.uint8)
    samples = (raw.float() - 100) / 50
    quantlab.calibrate(network, [samples])
    spec = quantlab.InputSpec(shape=(1, 8, 8), scale=(1 / 50,), zero_point=(100,))
    exported = quantlab.export_network(network, spec, tmp_path / "new", samples=samples)
    assert {"program.qlp", "exact.onnx", "qdq.onnx"} <= set(exported.hashes)
    written = {path for path in exported.folder.rglob("*") if path.is_file()}
    assert {str(path.relative_to(exported.folder)) for path in written} == set(exported.hashes)
    batch = {"input": raw.numpy()}
    comparisons = quantlab.verify(exported.program, [batch])
    assert [one.engine for one in comparisons] == ["numpy", "fast", "onnx"]
    assert sum(one.num_mismatches for one in comparisons) == 0
    with pytest.raises(UsageError, match="--to: 'onxx' given"):
        quantlab.export_network(network, spec, tmp_path / "other", to=["onxx"], samples=samples)
    assert not (tmp_path / "other").exists()


def test_a_place_taken_by_a_folder_is_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "qdq.onnx").mkdir()
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    rule = {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 4}}
    quantlab.quantize(network, quantlab.QuantizeConfig(rules=[rule]).rules)
    samples = torch.zeros(2, 1, 2, 2)
    quantlab.calibrate(network, [samples])
    spec = quantlab.InputSpec(shape=(1, 2, 2), scale=(1.0,), zero_point=(0,))
    with pytest.raises(UsageError, match="onnx: something that is no file is there"):
        quantlab.export_network(network, spec, tmp_path, samples=samples)
    assert [path.name for path in tmp_path.iterdir()] == ["qdq.onnx"]
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file: no folder"):
        quantlab.export_network(network, spec, tmp_path / "file" / "a", samples=samples)
