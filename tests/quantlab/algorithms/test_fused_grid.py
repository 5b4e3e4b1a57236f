"""The fused kernels against the plain operations, by Triton's interpreter and on a GPU."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms.fused_grid import fused_sharing
from quantlab.algorithms.grid import sharing_of
from quantlab.algorithms.learned_grid import learned_grid
from quantlab.algorithms.ste import ste
from tests.quantlab.algorithms.grid_cases import (
    GRID_CASES,
    GridCase,
    fused,
    given_of,
    gradient_of_two_calls,
    results,
)

ROOT = Path(__file__).resolve().parents[3]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="no triton: pip install it")
cases = pytest.mark.parametrize("name", GRID_CASES)
Results = dict[str, Tensor]


def plain(case: GridCase, *, is_summed: bool) -> Results:
    """What the plain operations give on the CPU; not summed, each element has its own scale."""
    given = given_of(case, "cpu")
    scale, offset = given.scale, given.offset
    if not is_summed:
        scale = scale.detach().expand(case.shape).clone().requires_grad_(scale.requires_grad)
        offset = None if offset is None else torch.zeros(case.shape, requires_grad=True)
    grid = case.grid
    if grid.is_rounded_first:
        y = ste(
            given.x, scale, given.zero_point, quant_min=grid.quant_min, quant_max=grid.quant_max
        )
    else:
        y = learned_grid(
            given.x,
            scale,
            offset,
            given.zero_point,
            quant_min=grid.quant_min,
            quant_max=grid.quant_max,
            min_scale=grid.min_scale,
            gradient_scale=grid.gradient_scale,
            is_clip_only=grid.is_clip_only,
        )
    y.backward(given.grad)
    found = results(given, y)
    for name, tensor in (("scale", scale), ("offset", offset)):
        if tensor is not None and tensor.grad is not None:
            found[name] = tensor.grad
    return found


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    """All cases by the interpreter, which Triton asks for when it is imported."""
    if torch.cuda.is_available():
        pytest.skip("a CUDA GPU runs the kernels themselves")
    path = tmp_path_factory.mktemp("interpreted") / "results.pt"
    subprocess.run(
        [sys.executable, "-m", "tests.quantlab.algorithms.grid_cases", str(path)],
        check=True,
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
    )
    found: dict[str, Results] = torch.load(path, weights_only=True)
    return found


def check(case: GridCase, found: Results) -> None:
    """Bits of the tensor and its gradient; sums against float64, relative to what is summed."""
    wanted = plain(case, is_summed=True)
    assert found.keys() == wanted.keys()
    for name in ("y", "x"):
        if name in wanted:
            assert found[name].dtype == wanted[name].dtype
            assert found[name].stride() == wanted[name].stride()
            torch.testing.assert_close(
                found[name], wanted[name], rtol=0, atol=0, equal_nan=True, msg=name
            )
            assert torch.equal(found[name].signbit(), wanted[name].signbit())
    terms = plain(case, is_summed=False)
    for name in ("scale", "offset"):
        if name in wanted:
            one = terms[name].double()
            total, size = one.sum_to_size(case.scale_shape), one.abs().sum_to_size(case.scale_shape)
            assert found[name].shape == case.scale_shape
            assert bool(((found[name] - total).abs() <= 1e-6 * size).all()), name


@needs_triton
@cases
def test_kernels_are_the_plain_operations(interpreted: dict[str, Results], name: str) -> None:
    check(GRID_CASES[name], interpreted[name])


@needs_triton
def test_a_weight_may_be_used_twice(interpreted: dict[str, Results]) -> None:
    """Its scale is written at each call, also between the first and its backward pass."""
    torch.testing.assert_close(interpreted["two calls"]["weight"], gradient_of_two_calls("cpu"))


@needs_gpu
@needs_triton
def test_a_weight_may_be_used_twice_on_a_gpu() -> None:
    torch.testing.assert_close(gradient_of_two_calls("cuda"), gradient_of_two_calls("cpu"))


class CompiledOnly:
    """Compiles what it is called with for an H200, which no machine must have, and runs nothing."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self.num_compiled = 0

    def __getitem__(self, num_programs: tuple[int, ...]) -> Callable[..., None]:
        return self._compile

    def _compile(self, *arguments: Any, **constants: Any) -> None:
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource, compile

        types = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
        names = self._kernel.arg_names
        signature, attributes = dict.fromkeys(constants, "constexpr"), {}
        for name, value in zip(names, arguments, strict=False):
            if value is None or (isinstance(value, int) and value == 1):
                signature[name], constants[name] = "constexpr", value
            elif isinstance(value, Tensor):
                signature[name] = f"*{types.get(value.dtype, 'i32')}"
            else:
                signature[name] = "fp32" if isinstance(value, float) else "i32"
            if isinstance(value, Tensor) or (isinstance(value, int) and value % 16 == 0):
                attributes[(names.index(name),)] = [["tt.divisibility", 16]]
        source = ASTSource(
            fn=self._kernel,
            signature={name: signature[name] for name in names},
            constexprs={(names.index(name),): value for name, value in constants.items()},
            attrs=attributes,
        )
        assert compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
        self.num_compiled += 1


@needs_triton
@pytest.mark.parametrize(
    "name", ["one scale, many parts", "an offset in bfloat16", "axis 1, many parts"]
)
def test_kernels_compile_for_a_gpu(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The interpreter takes more than the compiler does."""
    from quantlab.algorithms import grid_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    compiled = []
    for kernel in ("forward_kernel", "backward_kernel", "add_parts_kernel"):
        compiled.append(CompiledOnly(getattr(grid_kernels, kernel)))
        monkeypatch.setattr(grid_kernels, kernel, compiled[-1])
    fused(GRID_CASES[name], "cpu")
    assert all(kernel.num_compiled for kernel in compiled)


@needs_gpu
@cases
def test_kernels_on_a_gpu_are_the_plain_operations(name: str) -> None:
    found, again = fused(GRID_CASES[name], "cuda"), fused(GRID_CASES[name], "cuda")
    check(GRID_CASES[name], found)
    for key, value in found.items():
        assert torch.equal(value.nan_to_num(), again[key].nan_to_num()), key


@cases
def test_elements_share_scales_as_broadcasting_has_it(name: str) -> None:
    case = GRID_CASES[name]
    x = given_of(case, "cpu").x.detach().clone()
    scale = torch.zeros(case.scale_shape)
    sharing = sharing_of(x, scale)
    assert sharing is not None
    numbers = torch.arange(scale.numel()).reshape(case.scale_shape)
    x.copy_(numbers.expand(case.shape))
    in_memory = torch.as_strided(x, (x.numel(),), (1,))
    here = torch.arange(x.numel()) // sharing.num_inner % sharing.num_scales
    assert torch.equal(in_memory.long(), here)
    assert x.numel() == sharing.size * sharing.num_scales
    assert sharing.is_flat == (sharing.num_outer == 1 or scale.numel() == 1)


@pytest.mark.parametrize(
    ("x", "scale"),
    [
        (torch.zeros(4, 6).t(), torch.ones(())),
        (torch.zeros(4, 6)[:, ::2], torch.ones(())),
        (torch.zeros(0, 6), torch.ones(())),
        (torch.zeros(4, 6, 2), torch.ones(6, 1)),
        (torch.zeros(4, 6, 2), torch.ones(4, 1, 2)),
        (torch.zeros(4, 1, 2), torch.ones(4, 6, 2)),
        (
            torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
            torch.ones(2, 3, 1, 1),
        ),
        (torch.zeros(4, 6), torch.ones(6, 4).t()),
    ],
)
def test_other_tensors_are_left_to_the_plain_operations(x: Tensor, scale: Tensor) -> None:
    assert sharing_of(x, scale) is None


def test_nothing_is_fused_on_a_cpu() -> None:
    assert fused_sharing(torch.zeros(4), torch.ones(())) is None


def quantizer_step(dtype: torch.dtype) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """A forward and backward pass of LSQ on a GPU, and its gradients' owners."""
    from quantlab.algorithms.lsq import LsqConfig

    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(16, 8, 3, 3, device="cuda"))
    on_weight = LsqConfig(num_bits=4).quantizer("weight", weight)
    on_input = LsqConfig(num_bits=4).quantizer("input", weight).cuda()
    for quantizer in (on_weight, on_input):
        quantizer.set_enabled(True)
    x = torch.randn(64, 8, 33, 31, device="cuda", dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    owners = [x, weight, *on_weight.parameters(), *on_input.parameters()]

    def step() -> Tensor:
        for owner in owners:
            owner.grad = None
        loss = on_input(x).float().square().mean() + on_weight(weight).square().mean()
        loss.backward()
        return loss.detach()

    return step, owners


@needs_gpu
@needs_triton
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_captured_kernels_give_the_bytes_of_a_step(dtype: torch.dtype) -> None:
    step, owners = quantizer_step(dtype)
    assert fused_sharing(owners[0], torch.ones((), device="cuda")) is not None
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            wanted = step()
    torch.cuda.current_stream().wait_stream(stream)
    gradients = [owner.grad.clone() for owner in owners if owner.grad is not None]
    assert len(gradients) == len(owners)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        found = step()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(found, wanted)
    for owner, gradient in zip(owners, gradients, strict=True):
        assert owner.grad is not None
        assert torch.equal(owner.grad, gradient)


@needs_gpu
@needs_triton
def test_a_quantizer_launches_few_kernels() -> None:
    """One forward and two backward for an input, one each for a weight."""
    step, _ = quantizer_step(torch.bfloat16)
    for _ in range(2):
        step()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CUDA], acc_events=True
    ) as profile:
        step()
        torch.cuda.synchronize()
    names = [event.name for event in profile.events()]
    ours = [name for name in names if name in ("_grid_forward", "_grid_backward", "_add_parts")]
    assert sorted(ours) == [
        "_add_parts",
        "_grid_backward",
        "_grid_backward",
        "_grid_forward",
        "_grid_forward",
    ]
