"""Whether a tensor may have other numbers than when it was last seen."""

from typing import NamedTuple

from torch import Tensor

_NUM_SAMPLES = 256


class Seen(NamedTuple):
    """A tensor at some time: where it lies, torch's count of its changes, and samples of its
    numbers.

    What writes to a tensor as torch knows it is counted. For what is not counted (writes through
    `.data`, NumPy or another library, such as a broadcast of Horovod's) about 256 samples stand,
    evenly spread; for tensors that torch keeps no count of (made in inference mode) all numbers do.
    On a GPU, which samples would have to wait for, there are none.
    """

    address: int
    version: int
    samples: bytes

    @classmethod
    def of(cls, tensor: Tensor) -> "Seen":
        """Return a tensor `[N]` as it is now."""
        is_counted = not tensor.is_inference()
        samples = b""
        if tensor.device.type == "cpu":
            step = max(len(tensor) // _NUM_SAMPLES, 1) if is_counted else 1
            samples = tensor.detach().numpy()[::step].tobytes()
        return cls(tensor.data_ptr(), tensor._version if is_counted else -1, samples)
