"""`main.py verify` on runs of the toy problem, in this process."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

import main
from experiments.commands import verify
from experiments.deployment.agreement import Agreement
from experiments.deployment.samples import raw_batches
from experiments.library import Library
from experiments.protocols import Dataset
from quantlab.deploy.table import engines
from quantlab.formats.container import pack
from quantlab.integer.file import REMEDY, from_bytes
from quantlab.integer.operations.rescale import Rescale
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
    file = (deployed(trained) / "program.qlp").read_bytes()
    assert certificate["program_sha256"] == hashlib.sha256(file).hexdigest()
    assert certificate["against_fake_quantized"]["same_class"] >= 90
    assert certificate["against_fake_quantized"]["num_unmatched"] == 0
    assert certificate["versions"].keys() >= {"quantlab", "numpy", "onnxruntime"}
    # Each checkpoint has artefacts of its own.
    assert main.main([*VERIFY, "--samples=2", "--checkpoint=last"]) == 0
    assert (deployed(trained, "last") / "program.qlp").exists()
    # The second time the artefacts are there, and are those of the network.
    assert main.main([*VERIFY, "--backends=onnx"]) == 0


def test_a_program_with_limits_is_certified_and_says_them(
    trained: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ("--memory-bits=8", "--sum-bits=32")
    export = ("export", *VERIFY[1:], "--to=program")
    assert main.main([*export, *limits]) == 0
    assert main.main([*VERIFY, "--samples=5", "--backends=fast", *limits]) == 0
    certificate: dict[str, Any] = json.loads((deployed(trained) / "certificate.json").read_text())
    assert (certificate["memory_bits"], certificate["sum_bits"]) == (8, 32)
    assert main.main(["report", *VERIFY[1:], "--samples=2", *limits]) == 0
    program = from_bytes((deployed(trained) / "program.qlp").read_bytes(), "program.qlp")
    made = [o.output for o in program.operations if isinstance(o, Rescale)]
    assert max(program.bounds[name].num_bits for name in made) == 32
    capsys.readouterr()
    # The folder has the program with limits; one without is another.
    assert main.main([*VERIFY, "--samples=5", "--backends=fast"]) == 5
    assert main.main([*VERIFY, "--memory-bits=24"]) == 2
    assert "--memory_bits=24: 8 or 16 or 32 allowed" in capsys.readouterr().err


def test_a_layer_that_is_never_called_is_named(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (*TOY_RUN, "--network.class=PassesBy", "--experiment.epochs=2")
    rules = RULES.replace("!first", "!first & !spare")
    assert main.main([*given, f"--quantize.rules={rules}"]) == 0
    line = "note: spare: weight_quantizer never ran; "
    assert capsys.readouterr().out.count(line) == 1
    assert line in (lab.folder().path / "log.rank0.txt").read_text()
    assert main.main([*VERIFY, "--samples=2"]) == 0
    assert capsys.readouterr().out.count(line) == 1


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
    assert error.endswith(f"; {REMEDY}\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize("backends", ["numpy", "fast", "onnx"])
def test_the_program_of_another_network_ends_with_5_whatever_runs_it(
    trained: Lab, capsys: pytest.CaptureFixture[str], backends: str
) -> None:
    assert main.main([*TOY_RUN, f"--quantize.rules={RULES}", "--experiment.seed=5"]) == 0
    for exp_id in ("0", "1"):
        assert main.main([*VERIFY[:2], f"--exp_id={exp_id}", "--samples=2"]) == 0
    other = trained.folder(1).path / "fold0" / "deploy" / "best" / "program.qlp"
    shutil.copy(other, deployed(trained))
    capsys.readouterr()
    assert main.main([*VERIFY, "--samples=2", f"--backends={backends}"]) == 5
    error = capsys.readouterr().err
    assert "program.qlp: tensor '" in error
    assert "is not that of the run's network" in error
    assert not (deployed(trained) / "certificate.json").exists()


@pytest.mark.parametrize("name", ["program.qlp", "exact.onnx"])
@pytest.mark.parametrize("content", [b"", b"no such file"])
def test_what_is_no_artefact_says_what_to_do(
    trained: Lab, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    assert main.main([*VERIFY, "--samples=2"]) == 0
    (deployed(trained) / name).write_bytes(content)
    capsys.readouterr()
    assert main.main([*VERIFY, "--samples=2"]) == 5
    error = capsys.readouterr().err
    assert f"{name}: " in error
    assert error.endswith(f"; {REMEDY}\n")
    assert error.count("\n") == error.count(REMEDY) == 1


def test_a_file_of_another_kind_says_what_to_do(
    trained: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(trained).mkdir(parents=True)
    (deployed(trained) / "program.qlp").write_bytes(pack("record", {}, {}))
    assert main.main([*VERIFY, "--samples=2"]) == 2
    assert f"a record given, a program allowed; {REMEDY}\n" in capsys.readouterr().err


def test_no_older_certificate_stays(trained: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*VERIFY, "--samples=2"]) == 0
    path = deployed(trained) / "certificate.json"
    # What is refused at once leaves it.
    assert main.main([*VERIFY, "--samples=0"]) == 2
    assert path.exists()
    (deployed(trained) / "exact.onnx").write_bytes(b"")
    assert main.main([*VERIFY, "--samples=2"]) == 5
    assert not path.exists()
    path.mkdir()
    capsys.readouterr()
    assert main.main([*VERIFY, "--samples=2"]) == 2
    assert "certificate.json: cannot be written: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize(("tested", "reads"), [("", 0), ("=7", 0), ("=9", 9), ("=all", 25)])
def test_images_are_read_once(
    trained: Lab, monkeypatch: pytest.MonkeyPatch, tested: str, reads: int
) -> None:
    counts: list[int] = []

    def batches(samples: Dataset, library: Library, count: int, size: int) -> Any:
        counts.append(min(count, len(samples)))
        return raw_batches(samples, library, count, size)

    monkeypatch.setattr(verify, "raw_batches", batches)
    arguments = [f"--tested{tested}"] if tested else []
    assert main.main([*VERIFY, "--samples=7", "--backends=fast", *arguments]) == 0
    assert counts == ([reads] if reads else [])
    certificate = json.loads((deployed(trained) / "certificate.json").read_text())
    assert certificate["samples"] == 7
    assert certificate["against_fake_quantized"]["num_images"] == (reads or 7)


@pytest.mark.parametrize(
    ("other_codes", "num_unmatched", "lines"),
    [
        ({}, 0, []),
        ({"a": 0.0, "b": 0.0}, 0, ["other codes: none"]),
        ({"a": 0.0, "b": 1e-5}, 0, ["other codes: at most 0.001 %, at b"]),
        ({"[a]": 2.5}, 0, ["other codes: at most 2.500 %, at [a]"]),
        ({}, 2, ["quantizers whose codes the program does not make: 2"]),
    ],
)
def test_what_is_said_of_codes(
    capsys: pytest.CaptureFixture[str],
    other_codes: dict[str, float],
    num_unmatched: int,
    lines: list[str],
) -> None:
    found = Agreement(
        num_images=1,
        integer_top1=0,
        fake_quantized_top1=0,
        same_class=0,
        largest_difference=0,
        num_code_images=1,
        other_codes=other_codes,
        num_unmatched=num_unmatched,
    )
    verify._print_agreement(found)
    assert capsys.readouterr().out.splitlines()[1:] == lines


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
        (
            "--backends=nump",
            f"'nump' given, {', '.join(engines())} allowed; did you mean 'numpy'?",
        ),
        ("--samples=0", "--samples=0: at least 1 allowed"),
        ("--samples=many", "--samples=many: expected a whole number"),
        ("--tested=0", "--tested=0: at least 1, or all, allowed"),
        ("--images=photos", "--images=photos: not allowed without --torchvision"),
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
        *(
            (
                ("--torchvision=squeezenet1_1", "--images=.", f"--{name}=1"),
                2,
                f"--{name}=1: not allowed with --torchvision",
            )
            for name in ("tested", "problem", "exp_id", "checkpoint", "fold", "topology")
        ),
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
