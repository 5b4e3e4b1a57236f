import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from quantlab.errors import UsageError
from quantlab.numerics.affine import fake_quantize
from quantlab.numerics.granularity import Granularity, PerAxis, PerGroup, PerTensor
from quantlab.quantizer import Quantizer, QuantSpec


class Plain(Quantizer):
    """The least that a quantizer needs."""

    def __init__(self, spec: QuantSpec, shape: tuple[int, ...] = ()) -> None:
        super().__init__(spec, shape)
        self.register_buffer("scale", torch.rand(self.scale_shape) + 0.1)
        self.num_observed = 0

    def observe(self, x: Tensor) -> None:
        self.num_observed += 1

    def fake_quantize(self, x: Tensor) -> Tensor:
        return fake_quantize(
            x, self.scale, self.zero_point, quant_min=self.quant_min, quant_max=self.quant_max
        )


@pytest.fixture
def plain() -> Plain:
    return Plain(QuantSpec(num_bits=4, signed=True))


def test_stages(plain: Plain) -> None:
    x = torch.randn(100)
    assert plain.stage == "float"
    assert plain(x) is x
    plain.set_enabled(True)
    assert plain.stage == "fake-quantized"
    assert torch.equal(plain(x), plain.dequantize(plain.codes(x)))
    plain.set_enabled(False)
    assert plain(x) is x


def test_observes_in_training_only(plain: Plain) -> None:
    x = torch.randn(3)
    plain(x)
    assert plain.num_observed == 0
    plain.set_observing(True)
    plain.eval()(x)
    assert plain.num_observed == 0
    plain.train()(x)
    assert plain.num_observed == 1


@pytest.mark.parametrize("granularity", [PerTensor(), PerAxis(0), PerAxis(1), PerGroup(6)])
def test_granularity(granularity: Granularity) -> None:
    q = Plain(QuantSpec(num_bits=6, signed=True, granularity=granularity), (4, 3, 2, 2))
    q.set_enabled(True)
    x = torch.randn(4, 3, 2, 2)
    codes = q.codes(x)
    assert q.zero_point.shape == q.scale.shape
    assert codes.shape == x.shape
    assert q(x).shape == x.shape
    assert torch.equal(q(x), q.dequantize(codes))
    assert torch.equal(q.codes(q.dequantize(codes)), codes)
    if granularity == PerGroup(6):
        scales = q.scale.expand(4, 2, 6).reshape(x.shape)
    else:
        scales = q.scale.expand(x.shape)
    wanted = (x / scales + 0.5).floor().clamp(-32, 31)
    assert torch.equal(codes, wanted.int())


def test_state_holds_stage_and_sign_and_copies_keep_them(plain: Plain) -> None:
    plain.set_enabled(True)
    plain.set_observing(True)
    plain.set_signed(False)
    other = Plain(QuantSpec(num_bits=4, signed=True))
    other.load_state_dict(plain.state_dict())
    for twin in (other, copy.deepcopy(plain)):
        assert (twin.is_enabled, twin.is_observing) == (True, True)
        assert twin.spec == QuantSpec(num_bits=4, signed=False)
        assert (twin.quant_min, twin.quant_max) == (0, 15)
    other.set_enabled(False)
    assert not other.enabled
    assert plain.enabled


def test_state_is_plain_tensors(plain: Plain) -> None:
    assert set(plain.state_dict()) == {"scale", "zero_point", "enabled", "observing", "signed"}


def test_spec() -> None:
    spec = QuantSpec(num_bits=4, signed=True, narrow=True, granularity=PerAxis(0))
    assert (spec.quant_min, spec.quant_max) == (-7, 7)
    assert str(spec) == "4 bits signed per_axis:0"
    with pytest.raises(UsageError, match="num_bits: 0 given"):
        QuantSpec(num_bits=0, signed=False)
    with pytest.raises(UsageError, match="narrow: True given with signed=False"):
        Plain(spec, (2, 2)).set_signed(False)


def copy_in_place(source: Plain, target: Plain) -> None:
    for name, value in target.state_dict().items():
        value.copy_(source.state_dict()[name])


def copy_data(source: Plain, target: Plain) -> None:
    """As some averages do; torch counts no version then, so that only `train` and `eval` see it."""
    for one, other in zip(source.buffers(), target.buffers(), strict=True):
        other.data.copy_(one)
    target.train(target.training)


def replace_buffers(source: Plain, target: Plain) -> None:
    for name, value in source.named_buffers():
        target._buffers[name] = value.clone()


def average(source: Plain, target: Plain) -> None:
    """`target` begins as a copy of the float stage and is updated once the source has started."""
    averaged = AveragedModel(target, use_buffers=False)
    averaged.update_parameters(source)
    for one, other in zip(averaged.module.buffers(), target.buffers(), strict=True):
        other.copy_(one)
    assert averaged.module.stage == source.stage
    assert torch.equal(averaged(X), source(X))


X = torch.randn(50, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("write", [copy_in_place, copy_data, replace_buffers, average])
def test_the_buffers_are_the_truth_whoever_writes_them(
    plain: Plain, write: Callable[[Plain, Plain], None]
) -> None:
    target = copy.deepcopy(plain)
    assert target(X) is X
    for is_signed in (False, True):
        plain.set_enabled(True)
        plain.set_signed(is_signed)
        plain.set_observing(True)
        write(plain, target)
        assert torch.equal(target(X), plain(X))
        assert not torch.equal(target(X), X)
        assert (target.stage, target.spec, target.is_observing) == (
            plain.stage, plain.spec, plain.is_observing,
        )  # fmt: skip
        assert torch.equal(target.codes(X), plain.codes(X))
    plain.set_enabled(False)
    write(plain, target)
    assert target(X) is X


def test_compiled_quantizers_follow_at_eval(plain: Plain) -> None:
    target = copy.deepcopy(plain)
    compiled = torch.compile(target, backend="eager", fullgraph=True)
    assert torch.equal(compiled(X), X)
    plain.set_enabled(True)
    copy_in_place(plain, target)
    compiled.eval()
    assert torch.equal(compiled(X), plain(X))


def test_a_state_of_other_bits_is_refused(plain: Plain, tmp_path: Path) -> None:
    network = nn.Sequential(plain)
    other = nn.Sequential(Plain(QuantSpec(num_bits=8, signed=True)))
    torch.save(network.state_dict(), tmp_path / "state.pt")
    message = r"^0: the state of 4 bits given, of 8 bits allowed; quantize with the rules that"
    for state in (network.state_dict(), torch.load(tmp_path / "state.pt", weights_only=True)):
        with pytest.raises(UsageError, match=message) as caught:
            other.load_state_dict(state)
        assert "\n" not in str(caught.value)
        network.load_state_dict(state)
    with pytest.raises(UsageError, match=r"^quantizer: the state of 4 bits given"):
        other[0].load_state_dict(plain.state_dict())
    other.load_state_dict(dict(network.state_dict()))  # plain tensors say nothing of bits


def test_a_state_of_other_levels_is_refused() -> None:
    one, two = (
        Plain(QuantSpec(num_bits=2, signed=True, levels=levels)) for levels in ((-1, 1), (-1, 0, 1))
    )
    with pytest.raises(UsageError, match=r"2 bits with the levels \(-1, 1\) given, of 2 bits with"):
        two.load_state_dict(one.state_dict())
