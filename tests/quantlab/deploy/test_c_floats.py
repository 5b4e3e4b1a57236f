"""C of floats: near torch's, and the same bits in NumPy, on this machine and on boards."""

import ctypes
import json
import re
from collections.abc import Mapping
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import quantize
from quantlab.conversion.floats import float_model
from quantlab.deploy.c.boards.emulator import run as emulate
from quantlab.deploy.c.boards.program import compiled
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.floats.loops import loops_of
from quantlab.deploy.c.floats.model import float_c_model
from quantlab.deploy.c.floats.weights import rows_of
from quantlab.deploy.c.text import number
from quantlab.deploy.c.traced import laid_out
from quantlab.deploy.folder import write_files
from quantlab.errors import UsageError
from quantlab.floats.functions import FUNCTIONS, Function
from quantlab.floats.interpreter import run
from quantlab.floats.lower import lower
from quantlab.floats.lower.elementwise import function_of
from quantlab.floats.operations import Product
from quantlab.integer.operations import Windows
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.float_models import FloatCaller, check, check_close, in_shape
from tests.quantlab.deploy.float_networks import (
    ACTIVATIONS,
    CONVOLUTIONS,
    IMAGE,
    NETWORKS,
    Calls,
    pruned,
    random_layers,
    settled,
)
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
needs_clang = pytest.mark.skipif(which("clang") is None, reason="no C compiler: clang")
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")


def batch(*shape: int, count: int = 2) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


def small() -> nn.Module:
    """Layers with what there is of most kinds: padding, pooling, a branch, a softmax."""
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        Calls(
            lambda x, layer: torch.cat([layer(x), x], 1), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        ),
        nn.Hardswish(), nn.Flatten(), nn.Linear(12 * 16, 5), nn.Softmax(1),
    )  # fmt: skip
    return settled(network)


# What torch makes of a network, in float64.


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if "channels" not in name])
def test_activations_are_near_torchs(name: str) -> None:
    """Within four roundings of the largest number."""
    x = torch.linspace(-16, 16, 4001)
    activation = settled(ACTIVATIONS[name])
    function = function_of(activation)
    if isinstance(activation, nn.PReLU):
        function = Function("leaky", (activation.weight.item(),))
    assert function is not None
    found = function.of(x.numpy(), x.numpy())
    with torch.no_grad():
        expected = activation.double()(x.double()).numpy()
    activation.float()
    assert np.abs(found - expected).max() <= 4 * 2.0**-24 * np.abs(expected).max()


QUICK = ("one dimension", "transposed groups", "pooling that hangs over", "branches", "shuffles")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.long]) for n in NETWORKS],
)
def test_networks_are_near_torchs(name: str) -> None:
    """Within one rounding of the largest number for each of at most 256 additions."""
    make, shape = NETWORKS[name]
    check_close(settled(make()), batch(*shape), 256)


# What C makes of it, to the bit.


@needs_compiler
@pytest.mark.parametrize("encoding", ["auto", "dense"])
def test_a_network_in_c(encoding: str, tmp_path: Path) -> None:
    check(pruned(small(), 0.2), batch(3, 8, 8), tmp_path, encoding=encoding)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_c(name: str, tmp_path: Path) -> None:
    make, shape = NETWORKS[name]
    check(settled(make()), batch(*shape), tmp_path)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_in_c(name: str, tmp_path: Path) -> None:
    network = Calls(lambda x, activation: activation(20 * x), ACTIVATIONS[name])
    check(settled(network), batch(3, 20, 30), tmp_path)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("density", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_in_c(name: str, density: float, tmp_path: Path) -> None:
    layer = nn.Conv2d(3, 9, 3, **CONVOLUTIONS[name])
    network = pruned(settled(nn.Sequential(layer, nn.ReLU())), density)
    check(network, batch(*IMAGE), tmp_path)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("encoding", ["auto", "csr", "dense"])
@pytest.mark.parametrize("seed", range(40))
def test_random_layers_in_c(seed: int, encoding: str, tmp_path: Path) -> None:
    network, shape = random_layers(seed)
    check(network, batch(*shape), tmp_path, encoding=encoding, tolerance=4096)


@needs_compiler
@needs_clang
@pytest.mark.long
def test_another_compiler_gives_the_same_bits(tmp_path: Path) -> None:
    """With fused multiply-adds at hand, and without the standard that forbids gcc to use them."""
    program, x = lower(small(), batch(3, 8, 8)), batch(3, 8, 8)[0].numpy()
    expected = run(program, {"input": x[None]})["output"][0].tobytes()
    clang = ("clang", "-Wno-unused-command-line-argument")
    commands = [clang, (*clang, "-mfma"), ("gcc", "-mfma"), ("gcc", "-mfma", "-ffp-contract=fast")]
    for number_of, command in enumerate(commands):
        caller = FloatCaller(program, tmp_path / str(number_of), command=command)
        assert caller.run(x)["output"].tobytes() == expected, command


@needs_compiler
def test_nothing_is_expected_of_memory(tmp_path: Path) -> None:
    program, x = lower(small(), batch(3, 8, 8)), batch(3, 8, 8)[0].numpy()
    expected = run(program, {"input": x[None]})["output"][0].tobytes()
    for fill in (0x55, 0xAA):
        caller = FloatCaller(program, tmp_path, fill=fill)
        for offset in (0, 1, 4, 1):
            assert caller.run(x, offset)["output"].tobytes() == expected


@needs_compiler
def test_a_wrong_size_is_an_error_code_and_nothing_is_written(tmp_path: Path) -> None:
    caller = FloatCaller(lower(small(), batch(3, 8, 8)), tmp_path)
    given, output = caller.guarded(4 * 192, 0), caller.guarded(20, 0)
    memory = [caller.at(one) for one in (caller.arena, given, output)]
    sizes = [ctypes.c_size_t(size) for size in (4 * 192, 19)]
    code = caller.library.ql_run(memory[0], memory[1], sizes[0], memory[2], sizes[1])
    assert code == 1
    assert all((one == caller.fill).all() for one in (caller.arena, output))


@needs_compiler
def test_the_models_own_test_finds_a_bit_that_is_another(tmp_path: Path) -> None:
    program = lower(small(), batch(3, 8, 8))
    whole = FloatCaller(program, tmp_path / "whole")
    assert whole.selftest() == 0
    changed = FloatCaller(program, tmp_path / "changed")
    header = next(path for path in sorted((tmp_path / "changed/headers").iterdir()))
    text = header.read_text()
    first = re.search(r"0x1\.[0-9a-f]+p", text)
    assert first is not None
    digit = "1" if first[0][-2] != "1" else "2"
    header.write_text(text.replace(first[0], f"{first[0][:-2]}{digit}p", 1))
    library = tmp_path / "changed/other.so"
    compile_model(tmp_path / "changed", library, ["cc", "-shared", "-fPIC"])
    changed.library = ctypes.CDLL(str(library))
    assert changed.selftest() == 2


@needs_compiler
def test_vectors_are_part_of_the_models_own_test(tmp_path: Path) -> None:
    model = float_model(small(), batch(3, 8, 8), vectors=batch(3, 8, 8))
    assert b"#define QL_INPUT_H" in model.files["headers/input.h"]
    write_files(model.files, tmp_path)
    compile_model(tmp_path, tmp_path / "model.so", ["cc", "-shared", "-fPIC"])
    library = ctypes.CDLL(str(tmp_path / "model.so"))
    memory = [np.zeros(size, np.float32) for size in (model.arena_size, 192, 5)]
    assert library.ql_selftest(*(ctypes.c_void_p(one.ctypes.data) for one in memory)) == 0


@pytest.mark.long
@each_compiler
@pytest.mark.parametrize("seed", range(12))
def test_sanitizers_have_nothing_to_say(seed: int, compiler: str, tmp_path: Path) -> None:
    network, shape = random_layers(seed)
    if seed == 0:
        network, shape = small(), (3, 8, 8)
    program = lower(network, batch(*shape))
    check_sanitized(program, float_c_model(program).files, tmp_path, compiler)


# Boards.


def on_board(name: str, network: nn.Module, x: Tensor, folder: Path) -> None:
    """Check a network of one output on a board, to the bit."""
    program = lower(network, x)
    expected = run(program, {"input": x.numpy()})["output"]
    write_files(float_c_model(program).files, folder)
    board = BOARDS[name]
    sources, flags = ["trace.c", "verify.c"], ["-DQL_TRACE"]
    elf = compiled(board, folder, ["input"], ["output"], sources, flags)
    given = np.uint32(len(x)).tobytes() + laid_out(x.numpy()).tobytes()
    (outputs,) = emulate(board, elf, {"inputs": given}, ["outputs"], 300)
    size = len(outputs) // len(x)
    for sample, wanted in enumerate(expected):
        data = outputs[sample * size : (sample + 1) * size]
        assert in_shape(data, wanted.shape).tobytes() == np.ascontiguousarray(wanted).tobytes()


@pytest.mark.parametrize("name", [engine("c-m3"), engine("c-m7")])
def test_boards_give_the_same_bits(name: str, tmp_path: Path) -> None:
    """With and without a floating-point unit."""
    on_board(name, pruned(small(), 0.5), batch(3, 8, 8), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("board", [engine(name) for name in BOARDS if name != "c-msp430"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_functions_have_the_same_bits_on_boards(name: str, board: str, tmp_path: Path) -> None:
    network = Calls(lambda x, activation: activation(20 * x), ACTIVATIONS[name])
    on_board(board, settled(network), batch(3, 5, 20), tmp_path)


# The files.


def test_the_same_network_gives_the_same_bytes() -> None:
    one, other = (float_model(small(), batch(3, 8, 8)).files for _ in range(2))
    assert dict(one) == dict(other)


def test_only_what_is_needed_is_there() -> None:
    files = float_model(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), torch.zeros(1, 4)).files
    sources = {path for path in files if path.endswith(".c")}
    assert sources == {
        "model.c",
        *(
            f"runtime/{name}.c"
            for name in (
                *("float_at_least", "float_grouped", "float_numbers", "float_run_layer"),
                *("float_window", "selftest"),
            )
        ),
    }
    everything = b"".join(files.values()).decode()
    assert not re.findall(r"<(?!stddef|stdint|string|float)\w+\.h>", everything)


def test_the_manifest_says_what_is_there() -> None:
    said = json.loads(float_model(pruned(small(), 0.1), batch(3, 8, 8)).files["model.json"])
    assert (said["inputs"], said["outputs"]) == ({"input": "f32[3, 8, 8]"}, {"output": "f32[5]"})
    assert said["weights"]["7"]["encoding"] == "csr_u8"
    assert said["input_bytes"] == 4 * 192


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, -1.5, 0.1, 1e-45, 1e-40, 3.4028234e38, 2.0**-126, 256.0, 7e-3]
)
def test_constants_are_exact_to_the_bit(value: float) -> None:
    exact = np.float32(value)
    text = number(float(exact))
    assert text.endswith("f")
    assert np.float32(float.fromhex(text[:-1])).tobytes() == exact.tobytes()


@needs_compiler
def test_compilers_read_constants_to_the_bit(tmp_path: Path) -> None:
    numbers = [0.0, -0.0, 1e-45, -1e-40, 3.4028234e38, 0.1, 7e-3, 2.0**-126]

    def bias(values: list[float]) -> nn.Module:
        layer = nn.Linear(1, len(values))
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor(values))
        return nn.Sequential(layer)

    files = float_model(bias(numbers), torch.zeros(1, 1)).files
    text = next(data.decode() for path, data in files.items() if path.startswith("headers/"))
    assert "-0x0p+0f" in text
    found = FloatCaller(lower(bias(numbers), torch.zeros(1, 1)), tmp_path).run(
        np.zeros(1, np.float32)
    )
    expected = np.array(numbers, np.float32) + np.float32(0)  # a sum begins at +0
    assert found["output"].tobytes() == expected.tobytes()


# Sparse rows.


@pytest.mark.parametrize("gap", [1, 254, 255, 256, 509, 510, 511, 65534])
def test_gaps_of_any_size(gap: int) -> None:
    layer = nn.Linear(gap + 1, 1, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0], layer.weight[0, gap] = 3, 5
    product = Product(
        output="y", layer="", input="x", size=(1, 1), bias=None, windows=Windows(kernel=(1, 1)),
        weight=layer.weight.detach().numpy()[:, None, None],
    )  # fmt: skip
    for kind in (np.uint8, np.uint16):
        rows = rows_of(product, kind)
        assert rows is not None
        assert rows.gaps.dtype == kind
        places = np.cumsum(rows.gaps.astype(int))
        is_weight = rows.values != 0
        assert places[is_weight].tolist() == [0, gap]
        assert rows.values[is_weight].tolist() == [3, 5]
        assert rows.sizes.tolist() == [len(rows.values)]
        assert len(rows.values) == 1 + -(-gap // np.iinfo(kind).max)


def test_an_axis_beyond_16_bits_is_refused() -> None:
    network = nn.Sequential(nn.Linear(70000, 1))
    with pytest.raises(UsageError, match="layer '0': channels 70000 given, at most 65535 allowed"):
        float_model(network, torch.zeros(1, 70000))


@needs_compiler
@pytest.mark.parametrize("size", [300, 600])
def test_sparse_rows_in_c(size: int, tmp_path: Path) -> None:
    network = pruned(settled(nn.Sequential(nn.Linear(size, 7))), 0.01)
    x = batch(size)
    check(network, x, tmp_path)


@pytest.mark.parametrize(
    ("density", "encoding", "expected"),
    [
        *((1.0, "auto", "dense"), (1.0, "csr", "dense"), (0.1, "dense", "dense")),
        *((0.1, "csr", "csr_u16"), (0.1, "auto", "csr_u8"), (0.0, "auto", "csr_u16")),
        (0.1, "smallest", "csr_u8"),
    ],
)
def test_the_smallest_encoding_is_taken(density: float, encoding: str, expected: str) -> None:
    network = pruned(settled(nn.Sequential(nn.Linear(200, 50))), density)
    said = json.loads(float_model(network, batch(200), encoding=encoding).files["model.json"])
    assert said["weights"]["0"]["encoding"] == expected


def test_an_encoding_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"encoding: 'csrr' given, auto, smallest, .* did you mean"
    ):
        float_model(small(), batch(3, 8, 8), encoding="csrr")


# Places as loops.


@pytest.mark.parametrize(
    "sequence",
    [
        np.arange(1),
        np.arange(24),
        np.arange(24).reshape(4, 6)[1:3, ::2],
        np.arange(120).reshape(2, 3, 4, 5).transpose(3, 0, 2, 1),
        np.broadcast_to(np.arange(6).reshape(2, 1, 3), (2, 5, 3)),
        np.arange(24).reshape(2, 3, 4)[:, 1],
    ],
)
def test_loops_give_the_places(sequence: NDArray[np.intp]) -> None:
    places = sequence.reshape(-1)
    loops = loops_of(np.arange(len(places)), places)
    assert loops is not None
    for start, steps, expected in zip(
        loops.starts, loops.steps, (np.arange(len(places)), places), strict=True
    ):
        found = np.full(loops.sizes, start)
        for axis, step in enumerate(steps):
            along = [-1 if one == axis else 1 for one in range(len(steps))]
            found = found + (step * np.arange(loops.sizes[axis])).reshape(along)
        assert found.reshape(-1).tolist() == expected.tolist()


def test_places_in_no_order_are_no_loops() -> None:
    assert loops_of(np.array([0, 1, 2, 5, 3])) is None
    assert loops_of(np.arange(4)[::-1]) is None


# What is refused.


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x)


def with_weight(value: float) -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 2))
    with torch.no_grad():
        network[0].weight[0, 0] = value
    return network


def with_quantizers() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 2))
    rule = {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 8}}
    quantize(network, [rule])
    return network


REFUSED: Mapping[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "LayerNorm": (
        nn.Sequential(nn.LayerNorm(3)), (3,), r"layer '0': LayerNorm has no form in C of floats; B"
    ),
    "GroupNorm": (
        nn.Sequential(nn.GroupNorm(1, 3)), IMAGE, r"layer '0': GroupNorm has no form in C of floats"
    ),
    "attention": (
        Attention(), (4, 3), r"scaled_dot_product_attention.*has no form.*; called in .*py:\d+"
    ),
    "infinite": (with_weight(float("inf")), (3,), r"0\.weight: infinite numbers given, finite"),
    "NaN": (with_weight(float("nan")), (3,), r"0\.weight: NaN given, finite"),
    "quantizers": (
        with_quantizers(), (3,), r"layer '0\.weight_quantizer': a quantizer given, a network of f"
    ),
    "an infinite number": (
        Calls(lambda x: x + float("inf")), (3,), r"a number of inf given, finite floats of"
    ),
    "a number beyond 32 bits": (
        Calls(lambda x: x * 1e39), (3,), r"layer 'multiply': a number of 1e\+39 given, finite fl"
    ),
    "half": (Calls(lambda x: x.half()), (3,), r"no form in C of floats|float16; torch.float32 all"),
    "weights of the input": (
        Calls(lambda x: functional.linear(x, x[0])), (3, 3), r"weights that depend on the input|ba"
    ),
    "bilinear": (
        nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear")), IMAGE, r"mode 'bilinear', 'n"
    ),
    "circular": (
        nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular")),
        IMAGE,
        r"layer '0': padding_mode 'circular', 'zeros' allowed",
    ),
    "a batch": (Calls(lambda x: x.mean(0)), (3,), r"of any batch; all allowed|over the batch"),
    "a transformer": (
        nn.Sequential(nn.TransformerEncoderLayer(4, 2, batch_first=True)), (5, 4),
        r"layer '0': TransformerEncoderLayer has no form in C of floats; attention multiplies two",
    ),
    "an LSTM": (
        Calls(lambda x, layer: layer(x)[0], nn.LSTM(3, 2, batch_first=True)), (4, 3),
        r"layer 'layers.0': LSTM has no form in C of floats; called in .*py:\d+",
    ),
    "two inputs of a product": (Calls(lambda x: x @ x), (3, 3), r"MatMul has no form in C of f"),
    "no statistics": (
        nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)), (3,), r"without running stat"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_refused_by_name(name: str) -> None:
    network, shape, message = REFUSED[name]
    with pytest.raises(UsageError, match=message) as told:
        float_model(network, batch(*shape))
    assert "\n" not in str(told.value)


def test_weights_beyond_32_bits_are_refused() -> None:
    network = settled(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    with torch.no_grad():
        network[0].weight.fill_(3e38)
        network[1].weight.fill_(1e3)
    with pytest.raises(UsageError, match=r"0\.weight: .* given, at most 3\.403e\+38 allowed"):
        float_model(network, batch(3))


def test_the_network_stays_as_it_is() -> None:
    network = small().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    float_model(network, batch(3, 8, 8))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class Two(nn.Module):
    """Gives scores by this name, and their positive parts."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.layer, self.name = nn.Linear(3, 2), name

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.layer(x)
        return {self.name: y, "rest": y.relu()}


@pytest.mark.parametrize(
    ("name", "said"), [("input", "the name of the input"), ("arena", "QL_ARENA_SIZE in C")]
)
def test_an_output_with_the_name_of_something_else_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^output '{name}': {said}.*; another name needed$"):
        float_model(Two(name), batch(3))


def test_several_outputs_have_names() -> None:
    network = settled(Two("scores"))
    program = lower(network, batch(3))
    found = run(program, {"input": batch(3).numpy()})
    with torch.no_grad():
        expected = network(batch(3))
    assert list(found) == ["scores", "rest"]
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name].numpy(), atol=1e-6)


def test_every_function_is_in_the_runtime() -> None:
    runtime = Path(float_c_model.__code__.co_filename).parents[1] / "runtime"
    for name in FUNCTIONS:
        assert f"ql_float_{name}," in (runtime / f"float_{name}.c").read_text(), name
