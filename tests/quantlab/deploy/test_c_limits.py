"""What a model must not take more of, and what no C can be made of: one line each."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.deploy.c.boards.measure import measure
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.options import OPTIONS, read
from quantlab.deploy.folder import complete, write_files
from quantlab.deploy.table import ARTEFACTS, options_for
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.operations import Convolution, Linear, MaxPool, Requantize, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType


def narrow_and_wide() -> Program:
    """A convolution to 4 channels of 16 x 16, one to 32, and a pooling of all."""
    shapes = {"wide": (4, 32), "narrow": (1, 4)}

    def convolved(name: str, source: str) -> tuple[Convolution, Requantize]:
        channels, outputs = shapes[name]
        weight = np.random.default_rng(0).integers(-127, 128, (outputs, channels, 3, 3), np.int8)
        sums = Convolution(
            inputs=(source,), output=f"{name}_sums", layer=name, weight=weight, weight_bits=8,
            bias=np.zeros(outputs, np.int32),
            windows=Windows(kernel=(3, 3), padding=(1, 1, 1, 1)),
            groups=1, padding_codes=np.zeros(channels, np.int32),
        )  # fmt: skip
        codes = Requantize(
            inputs=(f"{name}_sums",), output=name, layer=name, multiplier=np.array(2**14),
            offset=np.array(0), shift=np.array(30), low=-128, high=127, kind=S8,
        )  # fmt: skip
        return sums, codes

    pool = MaxPool(
        inputs=("wide",), output="pooled", layer="pool",
        windows=Windows(kernel=(16, 16), stride=(16, 16)),
    )  # fmt: skip
    return Program(
        inputs={"x": TensorType((1, 16, 16), U8)},
        operations=(*convolved("narrow", "x"), *convolved("wide", "narrow"), pool),
        outputs=("pooled",),
    )


SIZES = c_model(narrow_and_wide()).sizes


def test_sizes_are_those_of_the_tensors() -> None:
    assert (SIZES.inputs, SIZES.outputs) == (256, 32)
    assert SIZES.ram == SIZES.arena + 288
    assert SIZES.flash == sum(SIZES.constants.values()) >= 4 * 9 + 32 * 36
    assert SIZES.layer in ("narrow", "wide")
    assert 4 * 16 * 16 <= SIZES.layer_arena <= SIZES.arena


def test_ram_below_the_largest_layer_names_it_with_both_figures() -> None:
    asked = read({"ram": str(SIZES.ram - 1)})
    with pytest.raises(UsageError) as caught:
        asked.check(SIZES)
    assert str(caught.value) == (
        f"ram: {SIZES.ram:,} bytes needed, {SIZES.ram - 1:,} given: 256 of inputs, 32 of outputs, "
        f"an arena of {SIZES.arena:,}, of which layer '{SIZES.layer}' needs {SIZES.layer_arena:,}"
    )
    read({"ram": str(SIZES.ram)}).check(SIZES)


def test_flash_below_the_constants_names_the_largest() -> None:
    with pytest.raises(UsageError, match=r"^flash: [\d,]+ bytes of constants needed, 1,000 given"):
        read({"flash": "1000"}).check(SIZES)
    name, most = max(SIZES.constants.items(), key=lambda item: item[1])
    assert name.endswith("wide")
    with pytest.raises(UsageError, match=rf"the {most:,} of headers/{name}\.h$"):
        read({"flash": "1000"}).check(SIZES)
    read({"flash": str(SIZES.flash)}).check(SIZES)


@pytest.mark.parametrize("name", BOARDS)
def test_what_does_not_fit_on_a_board_names_the_board(name: str) -> None:
    board, asked = BOARDS[name], read({"board": name})
    asked.check(SIZES)
    room = board.ram.size - board.stack_size
    over = replace(SIZES, arena=room + 1 - SIZES.inputs - SIZES.outputs)
    said = (
        rf"^{re.escape(board.core)} \({board.machine}\), ram: {room + 1:,} bytes needed, {room:,}"
    )
    with pytest.raises(UsageError, match=said):
        asked.check(over)
    with pytest.raises(UsageError, match=rf"\), flash: .* needed, {board.flash.size:,} given"):
        asked.check(replace(SIZES, constants={"000_a": board.flash.size + 1}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ram": "many"}, "--ram: 'many' given, a whole number of bytes from 1 allowed"),
        ({"ram": "0"}, "--ram: '0' given, a whole number of bytes from 1 allowed"),
        ({"flash": "-3"}, "--flash: '-3' given, a whole number of bytes from 1 allowed"),
        ({"flash": "1.5"}, "--flash: '1.5' given"),
        ({"board": "c-m8"}, "--board: 'c-m8' given, c-m0, .*; did you mean 'c-m"),
    ],
)
def test_values_that_are_none(options: Mapping[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        ARTEFACTS["c"].files({"network": narrow_and_wide()}, options)


def test_options_are_texts_by_name() -> None:
    with pytest.raises(UsageError, match=r"^options: a list given, values by name allowed$"):
        options_for(["c"], ["ram"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^options\['ram'\]: a int given, text allowed$"):
        options_for(["c"], {"ram": 65536})  # type: ignore[dict-item]


def test_only_a_program_becomes_c() -> None:
    with pytest.raises(UsageError, match=r"^program: a NoneType given, a Program allowed$"):
        c_model(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"inputs": ["x"]}'])
def test_a_folder_without_a_model_cannot_be_measured(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "model.json").write_text(text)
    with pytest.raises(UsageError, match=r"model\.json: no manifest of a model in C; export it"):
        measure(tmp_path, BOARDS["c-m3"])


def test_an_option_goes_to_the_artefacts_that_have_it() -> None:
    assert set(read({}).__dict__) == set(OPTIONS)
    given = {"encoding": "dense"}
    assert options_for(["program", "c"], given) == {"program": {}, "c": given}
    with pytest.raises(UsageError, match=r"^--ram: no effect on program, onnx-exact; c allowed$"):
        options_for(["program", "onnx-exact"], {"ram": "1"})
    with pytest.raises(UsageError, match=r"^no artefact has the option 'rum'; did you mean 'ram'"):
        options_for(["c"], {"rum": "1"})


@pytest.mark.parametrize("change", ['"bogus"', '["auto"]', "3"])
def test_a_manifest_with_another_encoding_is_not_the_one_expected(
    change: str, tmp_path: Path
) -> None:
    parts = {"network": narrow_and_wide()}
    write_files(ARTEFACTS["c"].files(parts, {"encoding": "dense"}), tmp_path)
    manifest = tmp_path / "c" / "model.json"
    said = manifest.read_text().replace('"encoding": "dense",', f'"encoding": {change},', 1)
    manifest.write_text(said)
    with pytest.raises(VerificationError, match=r"model\.json: [\d,]+ bytes are not the"):
        complete(ARTEFACTS["c"], parts, tmp_path, ARTEFACTS["c"].stored(tmp_path))


def wide_layer(inputs: int, outputs: int) -> Program:
    layer = Linear(
        inputs=("x",), output="y", layer="fc", weight=np.zeros((outputs, inputs), np.int8),
        weight_bits=8, bias=np.zeros(outputs, np.int32),
    )  # fmt: skip
    return Program(inputs={"x": TensorType((inputs,), U8)}, operations=(layer,), outputs=("y",))


def wide_image(columns: int) -> Program:
    pool = MaxPool(
        inputs=("x",), output="y", layer="pool", windows=Windows(kernel=(1, 2), stride=(1, 2))
    )
    types = {"x": TensorType((1, 1, columns), U8)}
    return Program(inputs=types, operations=(pool,), outputs=("y",))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (wide_layer(65536, 2), r"Linear 'y' \(fc\): channels 65536 given"),
        (wide_layer(2, 65536), r"Linear 'y' \(fc\): outputs 65536 given"),
        (wide_image(65536), r"MaxPool 'y' \(pool\): columns 65536 given"),
    ],
)
def test_sizes_beyond_16_bits_are_refused(program: Program, said: str) -> None:
    with pytest.raises(UsageError, match=rf"^{said}, at most 65535 allowed in C$"):
        c_model(program)


def test_sums_beyond_32_bits_name_the_layer_and_the_bound() -> None:
    layer = Linear(
        inputs=("x",), output="y", layer="fc", weight=np.full((1, 70000), 127, np.int8),
        weight_bits=8, bias=np.zeros(1, np.int32),
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"^layer 'fc': .* an accumulator of 33 bits, 32 allowed"):
        Program(inputs={"x": TensorType((70000,), U8)}, operations=(layer,), outputs=("y",))


def test_an_operation_that_programs_lack_is_told_with_its_line() -> None:
    class Strange(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cumsum(self.fc(x), 1)

    network, samples = Strange(), torch.rand(20, 4)
    quantize(
        network, [{"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 8}}]
    )
    calibrate(network, [samples])
    spec = InputSpec(shape=(4,), scale=(1.0,), zero_point=(0,))
    with pytest.raises(
        UsageError, match=r"cumsum.*test_c_limits\.py.*torch\.cumsum\(self\.fc"
    ) as caught:
        lower(network, spec, samples)
    assert "\n" not in str(caught.value)
