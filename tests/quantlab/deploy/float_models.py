"""Networks of floats as C on this machine: compiled, called, and compared with the definition."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.floats.model import float_c_model
from quantlab.deploy.c.traced import laid_out
from quantlab.deploy.folder import write_files
from quantlab.floats.interpreter import run
from quantlab.floats.lower import lower
from quantlab.floats.program import FloatProgram

GUARD = 16


class FloatCaller:
    """Calls a model of floats as a user's program does, with guards around all memory."""

    def __init__(
        self,
        program: FloatProgram,
        folder: Path,
        *,
        encoding: str = "auto",
        fill: int = 0x55,
        command: tuple[str, ...] = ("cc",),
    ) -> None:
        model = float_c_model(program, encoding)
        write_files(model.files, folder)
        library = folder / "model.so"
        compile_model(folder, library, [*command, "-shared", "-fPIC"])
        self.library = ctypes.CDLL(str(library))
        self.program, self.fill = program, fill
        self.arena = self.guarded(model.arena_size, 0)

    def guarded(self, size: int, offset: int) -> NDArray[np.uint8]:
        """Memory that begins `offset` bytes behind a multiple of 8, between two guards."""
        raw = np.full(size + 2 * GUARD + 8, self.fill, np.uint8)
        begin = GUARD + offset + -raw.ctypes.data % 8
        return raw[begin - GUARD : begin + size + GUARD]

    def run(self, x: NDArray[Any], offset: int = 0) -> dict[str, NDArray[np.float32]]:
        """Return the outputs of one sample, which lies at an offset, as do the outputs."""
        image = laid_out(x[None])
        given = self.guarded(image.nbytes, offset)
        given[GUARD:-GUARD] = np.frombuffer(image.tobytes(), np.uint8)
        outputs = {
            name: self.guarded(4 * int(np.prod(result.tensor.shape)), offset)
            for name, result in self.program.results.items()
        }
        arguments: list[Any] = [self.at(self.arena)]
        for memory in (given, *outputs.values()):
            arguments += [self.at(memory), ctypes.c_size_t(len(memory) - 2 * GUARD)]
        assert self.library.ql_run(*arguments) == 0
        for memory in (self.arena, given, *outputs.values()):
            for guard in (memory[:GUARD], memory[-GUARD:]):
                assert (guard == self.fill).all()
        return {
            name: in_shape(memory[GUARD:-GUARD].tobytes(), self.program.types[name].shape)
            for name, memory in outputs.items()
        }

    def selftest(self) -> int:
        """Return the code of the model's own test."""
        shapes = [tensor.shape for tensor in self.program.types.values()]
        memory = [self.guarded(4 * int(np.prod(shape)), 0) for shape in shapes]
        code: int = self.library.ql_selftest(*map(self.at, (self.arena, *memory)))
        return code

    @staticmethod
    def at(memory: NDArray[np.uint8]) -> ctypes.c_void_p:
        return ctypes.c_void_p(memory.ctypes.data + GUARD)


def in_shape(data: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a tensor of what lies in memory."""
    values = np.frombuffer(data, "<f4")
    if len(shape) != 3:
        return values.reshape(shape)
    channels, height, width = shape
    return values.reshape(height, width, channels).transpose(2, 0, 1)


def check_close(network: nn.Module, x: Tensor, tolerance: float) -> FloatProgram:
    """Check the interpreter against torch in float64; return the program. tolerance: how often the
    last bit of the largest number may be the difference."""
    program = lower(network, x)
    (found,) = run(program, {"input": x.numpy()}).values()
    with torch.no_grad():
        expected = network.double()(x.double()).numpy()
    network.float()
    ends = np.abs(expected).max() + 1e-30
    worst = np.abs(found - expected).max() / (ends * 2.0**-24)
    assert found.shape == expected.shape
    assert worst <= tolerance, f"{worst} times the last bit"
    return program


def check(
    network: nn.Module, x: Tensor, folder: Path, *, encoding: str = "auto", tolerance: float = 256
) -> FloatProgram:
    """Check a network of one output as C: near torch's, and of the interpreter's bits."""
    program = check_close(network, x, tolerance)
    expected = run(program, {"input": x.numpy()})
    caller = FloatCaller(program, folder, encoding=encoding)
    assert caller.selftest() == 0
    for sample in range(len(x)):
        outputs = caller.run(x[sample].numpy(), offset=sample % 4)
        for name, output in outputs.items():
            assert output.tobytes() == np.ascontiguousarray(expected[name][sample]).tobytes(), name
    return program
