"""`save_compressed_model`: the documented call, what is written, and what is refused."""

import copy
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.conversion import save_compressed_model
from quantlab.conversion.samples import codes_of
from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.interface import size_name
from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import only_writer, write_files
from quantlab.errors import UsageError
from quantlab.integer.file import to_bytes
from quantlab.integer.interpreter import run
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.operations import Linear, Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
COUNT = 64


def network() -> nn.Sequential:
    """A float network with a pruned layer, which trained a little on `data`."""
    return copy.deepcopy(_trained())


@cache
def _trained() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4 * 16, 12), nn.ReLU(), nn.Linear(12, 3),
    )  # fmt: skip
    images, classes = data()
    optimizer = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(12):
        optimizer.zero_grad()
        nn.functional.cross_entropy(made(images), classes).backward()
        optimizer.step()
    with torch.no_grad():
        weight = made[5].weight
        weight[weight.abs() < weight.abs().quantile(0.8)] = 0
    return made.eval()


def data() -> tuple[Tensor, Tensor]:
    """Images, and in which third they are brightest."""
    images = torch.rand(COUNT, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(COUNT) % 3
    for image, place in zip(images, classes.tolist(), strict=True):
        image[:, :, 3 * place : 3 * place + 2] += 1
    return images / 2, classes


def selftest(folder: Path, outputs: Sequence[str] = ("scores",)) -> int:
    """Compile a model with one input and one output; return the code of its test."""
    (output,) = outputs
    source = folder.parent / "caller.c"
    source.write_text(
        '#include "model.h"\n\nint main(void) {\n'
        f"  static uint32_t arena[QL_ARENA_SIZE / 4 + 1], scores[{size_name(output)}];\n"
        "  static uint8_t image[QL_INPUT_SIZE];\n"
        "  return ql_selftest(arena, image, scores);\n}\n"
    )
    compile_model(folder, folder.parent / "caller", ["cc"], [source])
    return subprocess.run([folder.parent / "caller"], check=False).returncode


def test_the_documented_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, (images, _) = network(), data()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.warns(UserWarning, match="^samples: 1 given to read the ranges"):
        saved = save_compressed_model(model, "csr", input_data=images[0])
    assert saved.folder == Path("my_model")
    written = {p.relative_to("my_model").as_posix() for p in Path("my_model").rglob("*.*")}
    assert written == set(saved.hashes) >= {"model.c", "model.h", "headers/input.h"}
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_both_accuracies_are_told_and_printed_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, (images, classes) = network(), data()
    saved = save_compressed_model(
        model, "auto", None, images, classes, directory=tmp_path / "c", verbose=True
    )
    scale, zero = saved.spec.scale[0], saved.spec.zero_point[0]
    codes = np.floor(images.double().numpy() / scale + 0.5) + zero
    (scores,) = run(saved.program, {"input": codes.clip(0, 255).astype(np.uint8)}).values()
    right = scores.argmax(1) == classes.numpy()
    assert saved.accuracy == 100 * right.mean()
    theirs = model(images).argmax(1) == classes
    assert saved.network_accuracy == 100 * theirs.double().mean().item() > 80
    assert abs(saved.accuracy - saved.network_accuracy) < 5
    assert "headers/input.h" not in saved.hashes
    said = capsys.readouterr().out
    assert said == f"{saved}\n"
    assert f"accuracy: {saved.accuracy:.2f} %" in said


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("representation", ["auto", "csr", "dense", "smallest"])
@pytest.mark.parametrize("dtype", ["s8", "s16"])
def test_the_models_own_test_passes(representation: str, dtype: str, tmp_path: Path) -> None:
    images, _ = data()
    folder = tmp_path / "c"
    save_compressed_model(
        network(), representation, images[:3], images, directory=folder, dtype=dtype
    )
    assert selftest(folder) == 0


def test_eight_bits_are_all_that_lies_between_layers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = save_compressed_model(network(), "auto", None, data()[0], directory=tmp_path)
    kinds = {saved.program.types[op.inputs[0]].kind for op in saved.program.operations}
    assert kinds <= {U8, S8, S32}
    assert capsys.readouterr() == ("", "")
    assert all(op.weight_bits == 8 for op in saved.program.operations if isinstance(op, Linear))


@pytest.mark.long
def test_sixteen_bits_lie_between_layers_and_are_nearer_to_the_network(tmp_path: Path) -> None:
    model, (images, _) = network(), data()
    with torch.no_grad():
        expected = model(images)
    errors = []
    for dtype in ("s8", "s16"):
        saved = save_compressed_model(
            model, "auto", None, images, directory=tmp_path / dtype, dtype=dtype
        )
        kinds = {saved.program.types[op.inputs[0]].kind for op in saved.program.operations}
        assert (S16 in kinds) == (dtype == "s16")
        scale, zero = saved.spec.scale[0], saved.spec.zero_point[0]
        codes = (images / scale + 0.5).floor() + zero
        inputs = {"input": codes.clamp(0, 255).to(torch.uint8).numpy()}
        (name,) = saved.program.outputs
        scores = saved.program.reals[name](run(saved.program, inputs)[name])
        errors.append(np.abs(scores - expected.numpy()).mean())
    assert errors[1] < errors[0]


@needs_compiler
def test_floats_are_those_of_the_network(tmp_path: Path) -> None:
    model, (images, classes) = network(), data()
    folder = tmp_path / "c"
    saved = save_compressed_model(
        model, "csr", images[:2], images, classes, directory=folder, dtype="f32"
    )
    assert saved.accuracy == saved.network_accuracy
    assert saved.spec is None
    text = (folder / "headers" / "input.h").read_text()
    assert "static const float ql_vectors_input[2][64]" in text
    assert selftest(folder, list(saved.program.outputs)) == 0


class Several(nn.Module):
    """Scores, and what they are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body[:5](x)
        return self.body[5:](features), features


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["s8", "s16", "f32"])
def test_of_several_outputs_the_first_has_the_scores(dtype: str, tmp_path: Path) -> None:
    images, classes = data()
    one, two = (
        save_compressed_model(
            model, "auto", images[0], images, classes, directory=tmp_path / name, dtype=dtype
        )
        for name, model in (("one", network()), ("two", Several()))
    )
    assert len(two.program.outputs) == 2
    assert two.network_accuracy == one.network_accuracy
    assert two.accuracy == one.accuracy


@pytest.mark.long
def test_the_input_has_the_range_of_all_samples(tmp_path: Path) -> None:
    images, _ = data()
    many = images.repeat(17, 1, 1, 1)
    many[-1] *= 50  # ranges of activations are read off fewer samples
    most = many.max().item()
    saved = save_compressed_model(network(), "auto", None, many, directory=tmp_path)
    assert saved.spec is not None
    assert saved.spec.scale[0] == pytest.approx(most / 255)


def test_a_layer_gets_as_many_bits_as_its_sums_have_room_for(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 700), nn.ReLU(), nn.Linear(700, 2))
    with torch.no_grad():
        model[2].weight.fill_(1)  # the code 127 in all places
    samples = torch.rand(32, 4)
    saved = save_compressed_model(model, "auto", None, samples, directory=tmp_path, dtype="s16")
    last = [op for op in saved.program.operations if isinstance(op, Linear)][-1]
    most = int(np.max(saved.program.bounds[last.inputs[0]].high))
    assert most == 2**13 - 1
    assert 700 * 127 * most < 2**31 <= 700 * 127 * (4 * most)


def test_a_network_with_quantizers_is_written_as_it_is(tmp_path: Path) -> None:
    model, (images, _) = network(), data()
    rules = [
        {"select": on, "on": what, "algorithm": {"kind": "ste", "num_bits": 4}}
        for on, what in (("*", "weight"), ("!first", "input"))
    ]
    quantize(model, rules)
    calibrate(model, [images])
    spec = InputSpec(shape=(1, 8, 8), scale=(1 / 255,), zero_point=(0,))
    saved = save_compressed_model(
        model, "auto", images[:2], directory=tmp_path, spec=spec, sum_bits=32
    )
    expected = lower(model, spec, images[:2], memory_bits=8, sum_bits=32)
    assert to_bytes(saved.program) == to_bytes(expected)
    assert saved.spec == spec
    with pytest.warns(UserWarning, match="^spec: None given, and 1 sample to read the range of"):
        save_compressed_model(model, "auto", images[0], directory=tmp_path)


def test_bytes_are_taken_as_they_are(tmp_path: Path) -> None:
    raw = torch.randint(256, (20, 1, 8, 8), dtype=torch.uint8)
    saved = save_compressed_model(network(), "auto", raw.numpy()[0], raw, directory=tmp_path)
    assert (saved.spec.scale, saved.spec.zero_point) == ((1.0,), (0,))
    text = (tmp_path / "headers" / "input.h").read_text()
    first = ", ".join(map(str, raw[0].reshape(-1)[:5].tolist()))
    assert f"        {first}," in text


def test_a_row_is_a_sample_too(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(5, 2))
    rows = torch.randn(20, 5)
    saved = save_compressed_model(model, "auto", rows[0], rows, directory=tmp_path)
    assert saved.program.inputs["input"].shape == (5,)
    assert "ql_vectors_input[1][5]" in (tmp_path / "headers" / "input.h").read_text()


def test_a_signal_is_a_sample_of_one_dimensional_convolutions(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8, 2))
    signals = torch.randn(20, 2, 10)
    saved = save_compressed_model(model, "auto", signals[0], signals, directory=tmp_path)
    assert saved.program.inputs["input"].shape == (2, 10)
    assert "ql_vectors_input[1][20]" in (tmp_path / "headers" / "input.h").read_text()
    with pytest.raises(UsageError, match=r"input_data: shape \[10\] given, a signal \[C, W\]"):
        save_compressed_model(model, "auto", signals[0, 0], signals, directory=tmp_path)


@pytest.mark.long
def test_a_model_that_survives_power_failures(tmp_path: Path) -> None:
    images, _ = data()
    saved = save_compressed_model(
        network(), "csr", images[0], images, directory=tmp_path / "c", intermittent=True
    )
    assert isinstance(saved.program, Program)
    assert "runtime/power_commit.c" in saved.hashes
    written = {name: (tmp_path / "c" / name).read_bytes() for name in saved.hashes}
    vectors = {"input": codes_of(images[:1], saved.spec)}
    assert written == c_model(saved.program, "csr", vectors=vectors, intermittent=True).files
    unbroken = c_model(saved.program, "csr", vectors=vectors).sizes
    assert saved.sizes.arena >= unbroken.arena + 4


def test_a_second_call_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    model, (images, _) = network(), data()
    save_compressed_model(model, "auto", images[0], images, directory=tmp_path, dtype="s16")
    smaller = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    saved = save_compressed_model(smaller, "auto", None, images, directory=tmp_path)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(saved.hashes)


def test_models_in_folders_of_the_directory_stay(tmp_path: Path) -> None:
    program = Program(
        inputs={"x": TensorType((4,), U8)},
        operations=(Reshape(inputs=("x",), output="y", shape=(2, 2)),),
        outputs=("y",),
    )
    write_files(c_model(program).files, tmp_path / "one")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"one/.*: no file of an earlier export"):
        save_compressed_model(network(), "auto", None, IMAGES, directory=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    with (
        only_writer(tmp_path),
        pytest.raises(UsageError, match="another process is writing there; wait for its end"),
    ):
        save_compressed_model(network(), "auto", None, IMAGES, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_with_other_files_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("mine")
    with pytest.raises(UsageError, match=r"main\.c: no file of an earlier export"):
        save_compressed_model(network(), "auto", None, IMAGES, directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["main.c"]


def broken(name: str) -> nn.Module:
    """Return the network with a number in a tensor that is none."""
    model = network()
    with torch.no_grad():
        model.state_dict()[name].view(-1)[0] = float("nan")
    return model


IMAGES, CLASSES = data()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"representation": "csc"}, "representation: 'csc' given, .* 's8'; C multiplies"),
        ({"representation": "pair"}, "representation: 'pair' given, .* 's8'; 'csr' is"),
        ({"representation": "csrr"}, "representation: 'csrr' given, .*; did you mean 'csr'"),
        ({"representation": 1}, "representation: a int given, a name allowed"),
        ({"ram": 100}, r"ram: [\d,]+ bytes needed, 100 given: 64 of inputs, .* layer '"),
        ({"flash": 100}, r"flash: [\d,]+ bytes of constants needed, 100 given; the largest are"),
        ({"ram": "100"}, "ram: a str given, a number of bytes allowed"),
        ({"dtype": "s4"}, "dtype: 's4' given, s8, s16, f32 allowed"),
        ({"dtype": "f32", "flit": True}, "flit: True given with dtype 'f32'; fixed-point numbers"),
        ({"dtype": "f32", "spec": InputSpec(shape=(2,), scale=(1,), zero_point=(0,))},
         "spec: no effect with dtype 'f32'"),
        ({"dtype": "f32", "intermittent": True},
         "intermittent: no effect with dtype 'f32'; C of 's8' or 's16' survives power failures"),
        ({"intermittent": Power(energy=5)},
         "energy: 5 instructions a charge given, but the smallest tile of layer '.*' takes"),
        ({"dtype": "f32", "sum_bits": 32}, "sum_bits: no effect with dtype 'f32', which has no"),
        ({"sum_bits": 16}, "sum_bits: 16 given, 32 or 64 allowed"),
        ({"dtype": "f32", "example_data": None}, "input_data: None given, a sample needed"),
        ({"dtype": "f32", "representation": "bits1"},
         "representation: 'bits1' given, auto, smallest, csr, dense allowed with dtype 'f32'"),
        ({"dtype": "f32", "representation": "csc"},
         "representation: 'csc' given, .* 'f32'; C multiplies"),
        ({"model": nn.LSTM(8, 3), "example_data": IMAGES[:, 0, 0]},
         "model: a LSTM given, .* allowed: Conv1d, .*, Linear$"),
        ({"model": nn.Sequential(nn.ReLU())}, "model: a Sequential given, a network with layers"),
        ({"model": broken("0.weight")}, "0.weight: NaN given, finite numbers allowed"),
        ({"model": broken("1.running_var")}, "1.running_var: NaN given, finite numbers allowed"),
        ({"ram": True}, "ram: a bool given, a number of bytes allowed"),
        ({"model": "network"}, "model: a str given, a torch.nn.Module allowed"),
        ({"directory": 3}, "directory: a int given, a path allowed"),
        ({"directory": "a\0b"}, r"folder: 'a\\x00b' given, a path without"),
        ({"example_data": IMAGES.to(torch.complex64)}, "example_data: complex64.* real numbers"),
        ({"example_targets": CLASSES + 99}, r"example_targets: \d+ given, classes 0 to \d allowed"),
        ({"example_targets": CLASSES - 99}, r"example_targets: -\d+ given, classes 0"),
        ({"example_data": None}, "input_data: None given, a sample needed"),
        ({"example_data": IMAGES[:, 0]}, r"example_data: shape \[64, 8, 8\] given, a row \[F\] or"),
        ({"example_data": IMAGES.expand(-1, 2, -1, -1)},
         r"example_data: float32\[1, 2, 8, 8\] given, which the network does not take"),
        ({"example_data": IMAGES.numpy().astype(complex)}, "example_data: a complex128 array"),
        ({"example_data": IMAGES * float("nan")}, "example_data: nan given, finite numbers"),
        ({"example_data": IMAGES[:0]}, "example_data: .* given, .* of at least 1 sample needed"),
        ({"input_data": IMAGES[:, :, :6]}, r"input_data: float32\[1, 1, 6, 8\] given, which the"),
        ({"input_data": IMAGES[0, 0]}, r"input_data: float32\[1, 8\] given, which the"),
        ({"example_targets": CLASSES[1:]}, r"example_targets: int64\[63\] given, integers \[64\]"),
        ({"example_targets": IMAGES}, r"example_targets: float32\[64, 1, 8, 8\] given, integers"),
        ({"example_targets": CLASSES, "example_data": None, "input_data": IMAGES},
         "example_targets: given without example_data"),
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line_and_nothing_is_written(
    changed: Mapping[str, Any], said: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {
        "model": network(), "representation": "auto", "example_data": IMAGES,
        "directory": tmp_path / "c", **changed,
    }  # fmt: skip
    with pytest.raises(UsageError, match=f"^{said}") as caught:
        save_compressed_model(**given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "c").exists()


def test_what_c_has_no_form_of_is_told_with_its_line(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(144, 3))
    with pytest.raises(UsageError, match="layer '1': GroupNorm"):
        save_compressed_model(model, "auto", None, IMAGES, directory=tmp_path / "c")
    assert not (tmp_path / "c").exists()
