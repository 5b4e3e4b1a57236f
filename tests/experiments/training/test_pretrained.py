"""Runs that start from the weights of others, where the layers of either are generated."""

import pytest
import torch

from experiments.training.pretrained import SECTION
from quantlab.generation.layers import MLGConv2d
from quantlab.generation.spec import MLGSpec
from tests.experiments.training.test_generated import GENERATED, refusal
from tests.experiments.training.test_trainer import run, saved
from tests.lab import TOY_RUN, Lab

STILL = ("--training.optimizer.params={lr: 1.0e-300}", "--experiment.seed=9")
ONCE = "--experiment.epochs=1"
START = f"--{SECTION}.exp_id=0"


def dense_weight(lab: Lab, exp_id: int) -> torch.Tensor:
    """The weight that the convolution of a generated run computes with."""
    layer = MLGConv2d(1, 4, 3, spec=MLGSpec(base_in=2, base_out=3))
    prefix = "conv."
    state = {k.removeprefix(prefix): v for k, v in saved(lab, exp_id).items() if prefix in k}
    layer.load_state_dict(state)
    return layer.weight.detach()


def test_a_dense_run_starts_from_a_generated_one(lab: Lab) -> None:
    run(*GENERATED, ONCE)
    run(*TOY_RUN, *STILL, START, ONCE)
    torch.testing.assert_close(saved(lab, 1)["conv.weight"], dense_weight(lab, 0))
    assert torch.equal(saved(lab, 1)["linear.weight"], saved(lab, 0)["linear.weight"])


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--training.ema.decay=0.5",),
        ("--training.precision=float64",),
        ("--quantize.rules=[{select: conv, on: input, algorithm: {kind: ste, num_bits: 8}}]",),
    ],
    ids=["plain", "average", "double", "quantized"],
)
def test_a_run_its_file_and_prefixes_give_the_same_weights(
    lab: Lab, arguments: tuple[str, ...]
) -> None:
    run(*GENERATED, *arguments, ONCE)
    run(*TOY_RUN, *STILL, START, ONCE)
    file = lab.folder(0).fold(0) / "saves" / "last.ckpt"
    run(*TOY_RUN, *STILL, f"--{SECTION}.file={file}", ONCE)
    assert lab.record(2)["weights_sha256"] == lab.record(1)["weights_sha256"]
    run(*TOY_RUN, *STILL, f"--{SECTION}={{exp_id: 0, prefixes: [conv.]}}", ONCE)
    assert torch.equal(saved(lab, 3)["conv.weight"], saved(lab, 1)["conv.weight"])
    assert not torch.equal(saved(lab, 3)["linear.weight"], saved(lab, 1)["linear.weight"])
    run(*TOY_RUN, "--config=quantized", START, ONCE)


def test_a_generated_run_starts_from_one_of_the_same_spec(lab: Lab) -> None:
    run(*GENERATED, ONCE)
    run(*GENERATED, *STILL, START, ONCE)
    before, after = saved(lab, 0), saved(lab, 1)
    factors = [name for name in before if name.rpartition(".")[2] in ("basis", "coeff_out")]
    assert len(factors) == 2
    assert all(torch.equal(before[name], after[name]) for name in factors)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--mlg.base_out=2",),
            "has the basis of 'conv' of [3, 1, 3, 3] in 3 bits (dorefa_sym), mlg of [2, 1, 3, 3] "
            "in 3 bits (dorefa_sym); the same allowed, or give it as `teacher` instead, and set "
            "mlg.projection_alg",
        ),
        (("--mlg.basis_bit=4",), "of [3, 1, 3, 3] in 3 bits (dorefa_sym), mlg of [3, 1, 3, 3] in"),
        pytest.param(
            ("--mlg.quantizer=lsq",),
            "in 3 bits (dorefa_sym), mlg of [3, 1, 3, 3] in 3 bits (lsq)",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ("--mlg.layers=type:Linear", "--mlg.linear_block=4"),
            "has a dense weight of 'linear', a layer that mlg generates; give it as `teacher`",
            marks=pytest.mark.long,
        ),
    ],
    ids=["sizes", "bits", "quantizer", "layers"],
)
def test_factors_of_another_spec(
    lab: Lab, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    run(*GENERATED, ONCE, "--training.ema.decay=0.5")
    said = refusal(capsys, *GENERATED, START, *arguments)
    assert said.startswith(f"{SECTION}: Toy/exp000 last.ckpt has ")
    assert message in said
    assert not lab.folder(1).path.exists()


def test_a_generated_run_does_not_start_from_a_dense_one(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*TOY_RUN, "--config=quantized", ONCE)
    assert refusal(capsys, *GENERATED, START) == (
        f"{SECTION}: Toy/exp000 last.ckpt has a dense weight of 'conv', a layer that mlg "
        "generates; give it as `teacher` instead, and set mlg.projection_alg"
    )


@pytest.mark.long
def test_prefixes_leave_out_what_is_generated(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run(*TOY_RUN, ONCE)
    assert "has a dense weight of 'conv'" in refusal(capsys, *GENERATED, START)
    run(*GENERATED, *STILL, f"--{SECTION}={{exp_id: 0, prefixes: [linear.]}}", ONCE)
    assert torch.equal(saved(lab, 1)["linear.weight"], saved(lab, 0)["linear.weight"])


def test_a_file_of_factors_alone_does_not_tell_its_network(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*GENERATED, ONCE)
    file = lab.home / "copied.ckpt"
    file.write_bytes((lab.folder(0).fold(0) / "saves" / "last.ckpt").read_bytes())
    assert refusal(capsys, *TOY_RUN, f"--{SECTION}.file={file}") == (
        f"{SECTION}: {file} has factors of 'conv', a layer with a dense weight here; give its run "
        f"as {SECTION}.exp_id, which describes it"
    )
    run(*GENERATED, *STILL, f"--{SECTION}.file={file}", ONCE)
    assert torch.equal(saved(lab, 1)["conv.basis"], saved(lab, 0)["conv.basis"])
