"""`main.py verify` on runs of the toy problem, in this process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

import main
from tests.lab import TOY_RUN, Lab

RULES = (
    "[{select: '*', on: weight, algorithm: {kind: lsq, num_bits: 4, start_epoch: 0}}, "
    "{select: '!first', on: input, algorithm: {kind: lsq, num_bits: 4, start_epoch: 0, "
    "observe_steps: 2}}]"
)
VERIFY = ("verify", "--problem=Toy", "--exp_id=0")


@pytest.fixture
def trained(lab: Lab) -> Lab:
    assert main.main([*TOY_RUN, f"--quantize.rules={RULES}"]) == 0
    return lab


def deployed(lab: Lab, checkpoint: str = "best") -> Path:
    return lab.folder().path / "fold0" / "deploy" / checkpoint


def test_a_run_is_certified(trained: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main.main([*VERIFY, "--samples=20"]) == 0
    out = capsys.readouterr().out
    certificate: dict[str, Any] = json.loads((deployed(trained) / "certificate.json").read_text())
    engines = {engine["engine"]: engine for engine in certificate["engines"]}
    assert set(engines) == {"numpy", "fast", "onnx"}
    total = sum(engine["num_values"] for engine in engines.values())
    assert f"0 mismatches in {total:,} values" in out
    assert all(engine["num_mismatches"] == 0 for engine in engines.values())
    assert certificate["samples"] == 20
    assert len(certificate["program_sha256"]) == 64
    assert certificate["against_fake_quantized"]["same_class"] >= 90
    assert certificate["versions"].keys() >= {"quantlab", "numpy", "onnxruntime"}
    # Each checkpoint has artefacts of its own.
    assert main.main([*VERIFY, "--samples=2", "--checkpoint=last"]) == 0
    assert (deployed(trained, "last") / "program.qlp").exists()
    # The second time the artefacts are there, and are those of the network.
    assert main.main([*VERIFY, "--backends=onnx"]) == 0


def test_its_report(trained: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main.main(["report", "--problem=Toy", "--exp_id=0"]) == 0
    shown = capsys.readouterr().out
    assert main.main([*VERIFY]) == 0
    size = (deployed(trained) / "program.qlp").stat().st_size
    assert f"{size:,} bytes in its file" in shown
    capsys.readouterr()
    assert main.main(["report", "--problem=Toy", "--exp_id=0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_bytes"] == size
    assert [cost["layer"] for cost in found["layers"] if cost["macs"]] == ["conv", "linear"]


def test_a_flipped_bit_of_the_program_ends_with_5(
    trained: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*VERIFY]) == 0
    path = deployed(trained) / "program.qlp"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    capsys.readouterr()
    assert main.main([*VERIFY]) == 5
    error = capsys.readouterr().err
    assert "program.qlp: " in error
    assert "damaged" in error
    assert error.count("\n") == 1


def test_a_changed_tensor_of_the_model_ends_with_5(
    trained: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*VERIFY]) == 0
    path = deployed(trained) / "exact.onnx"
    model = onnx.load(path)
    (tensor,) = [t for t in model.graph.initializer if t.name == "conv.weight"]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += 1
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)
    capsys.readouterr()
    assert main.main([*VERIFY]) == 5
    assert "exact.onnx: tensor 'conv.weight' is not the program's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--backends=nump", "'nump' given, numpy, fast, onnx allowed; did you mean 'numpy'?"),
        ("--samples=0", "--samples=0: at least 1 allowed"),
        ("--samples=many", "--samples=many: expected a whole number"),
    ],
)
def test_wrong_options(
    trained: Lab, capsys: pytest.CaptureFixture[str], argument: str, message: str
) -> None:
    capsys.readouterr()
    assert main.main([*VERIFY, argument]) == 2
    assert message in capsys.readouterr().err


def test_a_network_in_float_is_refused(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*TOY_RUN]) == 0
    capsys.readouterr()
    assert main.main([*VERIFY]) == 2
    assert "layer 'conv': its weight has no quantizer" in capsys.readouterr().err


def test_a_library_that_does_not_tell_what_pixels_mean(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [argument.replace("Tiny", "Other") for argument in TOY_RUN]
    assert main.main([*other, f"--quantize.rules={RULES}"]) == 0
    capsys.readouterr()
    assert main.main([*VERIFY]) == 2
    assert "Other: its preprocess.py has no NORMALIZATION" in capsys.readouterr().err


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(4):
        coarse = Image.fromarray(random.integers(0, 256, (9, 7, 3), dtype=np.uint8))
        coarse.resize((250 + 40 * number, 300)).save(folder / f"{number}.png")
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_a_network_of_torchvision(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("verify", "--torchvision=squeezenet1_1", f"--images={photos}", "--samples=2")
    assert main.main(arguments) == 0
    out = capsys.readouterr().out
    assert "0 mismatches in " in out
    assert "squeezenet1_1: " in out


NETWORKS = (
    *("alexnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "mobilenet_v2"),
    *("mobilenet_v3_small", "densenet121", "googlenet", "shufflenet_v2_x1_0", "mnasnet1_0"),
    *("efficientnet_b0", "regnet_y_400mf"),
)


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_torchvision(name: str, photos: Path) -> None:
    arguments = ("verify", f"--torchvision={name}", f"--images={photos}", "--samples=1")
    assert main.main(arguments) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--torchvision=squeezenet1_1",), 2, "verify needs --images=..."),
        (("--torchvision=squeezenet", "--images=."), 2, "did you mean 'squeezenet1_"),
        (("--torchvision=squeezenet1_1", "--images=/nowhere"), 3, "0 photos (.jpg, .jpeg, .png)"),
        (("--problem=Toy",), 2, "verify needs --exp_id=..."),
    ],
)
def test_what_is_missing(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert main.main(["verify", *arguments]) == code
    assert message in capsys.readouterr().err


def test_a_damaged_photo(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        whole = (photos / f"{number}.png").read_bytes()
        (tmp_path / f"{number}.png").write_bytes(whole[: len(whole) // (1 + number)])
    arguments = ("verify", "--torchvision=squeezenet1_1", f"--images={tmp_path}", "--samples=2")
    assert main.main(arguments) == 3
    assert "1.png: no image that can be read" in capsys.readouterr().err
