"""The simulator of mspdebug: it has no semihosting, which is done here where a program stops."""

import os
import re
import struct
import subprocess
from pathlib import Path
from threading import Timer
from typing import BinaryIO

from quantlab.deploy.c.boards.ending import FAULT, Ending
from quantlab.deploy.c.boards.table import Board

_OPEN, _WRITE, _READ, _EXIT_EXTENDED, _ELAPSED = 0x01, 0x05, 0x06, 0x20, 0x30
_TO_READ = 1
_FAILED = 2**32 - 1
_PROMPT = b"(mspdebug) "
_ROW = re.compile(r"^\s+[0-9a-f]+:((?: [0-9a-f]{2})+) ", re.MULTILINE)
_MOST_BYTES = 64  # that are written by one command


def emulate(board: Board, directory: Path, seconds: int) -> Ending | None:
    """Run `model.elf` in a directory; return None if it did not end."""
    simulator = subprocess.Popen(
        [board.emulator, board.machine],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    timer = Timer(seconds, simulator.kill)
    timer.start()
    debugger = _Debugger(simulator, directory)
    try:
        return debugger.serve()
    except (BrokenPipeError, EOFError):
        return None if timer.finished.is_set() else Ending(code=1, complaint="it ended by itself")
    finally:
        timer.cancel()
        simulator.kill()
        simulator.communicate()
        debugger.close()


class _Debugger:
    """Gives commands to the simulator, and a program the files of a directory."""

    def __init__(self, simulator: subprocess.Popen[bytes], directory: Path) -> None:
        self._simulator, self._directory = simulator, directory
        self._files: list[BinaryIO] = []

    def close(self) -> None:
        for file in self._files:
            file.close()

    def serve(self) -> Ending:
        """Run the program to its end. Raises EOFError or BrokenPipeError if the simulator ends."""
        self._until_prompt()
        for command in ("prog model.elf", "simio add tracer tracer", "setbreak board_stop"):
            self._command(command)
        self._command("set pc board_reset")
        while True:
            self._command("run")
            operation, address, _ = struct.unpack("<III", self._read("board_mailbox", 12))
            if operation == 0:  # it stopped elsewhere
                return Ending(code=FAULT)
            arguments = struct.unpack("<III", self._read(f"{address:#x}", 12))
            if operation == _EXIT_EXTENDED:
                return Ending(code=arguments[1])
            result = self._operation(operation, address, arguments)
            self._write_memory("board_mailbox", struct.pack("<III", 0, 0, result))

    def _operation(self, operation: int, address: int, arguments: tuple[int, ...]) -> int:
        first, place, size = arguments
        if operation == _OPEN:
            return self._open(self._read(f"{first:#x}", size).decode(), place)
        if operation == _WRITE:
            self._files[first].write(self._read(f"{place:#x}", size))
            return 0
        if operation == _READ:
            data = self._files[first].read(size)
            self._write_memory(f"{place:#x}", data)
            return size - len(data)
        if operation == _ELAPSED:
            said = self._command("simio info tracer")
            (count,) = re.findall(r"Instruction count: (\d+)", said)
            self._write_memory(f"{address:#x}", struct.pack("<Q", int(count)))
            return 0
        raise EOFError

    def _open(self, name: str, mode: int) -> int:
        try:
            path = self._directory / name
            self._files.append(path.open("rb") if mode == _TO_READ else path.open("wb"))
        except OSError:
            return _FAILED
        return len(self._files) - 1

    def _read(self, address: str, size: int) -> bytes:
        rows = _ROW.findall(self._command(f"md {address} {size}"))
        return bytes.fromhex("".join(rows))

    def _write_memory(self, address: str, data: bytes) -> None:
        for first in range(0, len(data), _MOST_BYTES):
            part = " ".join(f"{byte:#x}" for byte in data[first : first + _MOST_BYTES])
            self._command(f"mw {address}+{first} {part}")

    def _command(self, command: str) -> str:
        """Return what the simulator prints."""
        assert self._simulator.stdin is not None
        self._simulator.stdin.write(f"{command}\n".encode())
        self._simulator.stdin.flush()
        return self._until_prompt()

    def _until_prompt(self) -> str:
        assert self._simulator.stdout is not None
        said = b""
        while not said.endswith(_PROMPT):
            part = os.read(self._simulator.stdout.fileno(), 2**16)
            if not part:
                raise EOFError
            said += part
        return said.removesuffix(_PROMPT).decode()
