"""The identity of weights against the format written out here with NumPy and struct."""

import hashlib
import struct

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.numerics.digest import weights_sha256


def test_a_value_worked_out_by_hand() -> None:
    state = {
        "b": torch.tensor([1.0, -2.5]),
        "a.count": torch.tensor(258),
        "a": torch.tensor([[1, 2, 3]], dtype=torch.uint8),
    }
    text = (
        b"a\x00uint8\x001,3\x00" + bytes([1, 2, 3])
        + b"a.count\x00int64\x00\x00" + bytes([2, 1, 0, 0, 0, 0, 0, 0])
        + b"b\x00float32\x002\x00" + struct.pack("<2f", 1.0, -2.5)
    )  # fmt: skip
    assert weights_sha256(state) == hashlib.sha256(text).hexdigest()


def test_a_network() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).double()
    network.to(memory_format=torch.channels_last)
    expected = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        array = np.array(tensor.tolist(), dtype="<f8" if tensor.is_floating_point() else "<i8")
        kind = "float64" if tensor.is_floating_point() else "int64"
        shape = ",".join(map(str, array.shape))
        expected.update(b"\0".join([name.encode(), kind.encode(), shape.encode(), array.tobytes()]))
    assert weights_sha256(network.state_dict()) == expected.hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"x": torch.tensor([0.0, 2.0])},
        {"x": torch.tensor([[1.0, 2.0]])},
        {"x": torch.tensor([1.0, 2.0]).double()},
        {"y": torch.tensor([1.0, 2.0])},
        {"x": torch.tensor([1.0, 2.0]), "y": torch.empty(0)},
        {"x": torch.tensor([1.0])},
        {},
    ],
)
def test_what_differs_has_another(other: dict[str, torch.Tensor]) -> None:
    assert weights_sha256(other) != weights_sha256({"x": torch.tensor([1.0, 2.0])})


def test_order_layout_and_gradients_do_not_matter() -> None:
    a, b = torch.randn(2, 3), torch.randn(4, requires_grad=True)
    first = weights_sha256({"a": a, "b": b})
    assert weights_sha256({"b": b.detach(), "a": a.T.contiguous().T}) == first
    assert (
        weights_sha256({"flags": torch.tensor([True, False])})
        == hashlib.sha256(b"flags\0bool\x002\0\x01\0").hexdigest()
    )
    assert (
        weights_sha256({"h": torch.tensor([1.0], dtype=torch.bfloat16)})
        == hashlib.sha256(b"h\0bfloat16\x001\0\x80\x3f").hexdigest()
    )
