"""The boards that models run on, by the names of their engines: a new one is a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SUPPORT = Path(__file__).parent / "support"

# The Debian packages that bring each program.
PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    "qemu-system-riscv32": "qemu-system-misc",
    "clang": "clang",
    "ld.lld": "lld",
    "mspdebug": "mspdebug",
}
KIB, MIB = 2**10, 2**20


@dataclass(frozen=True, kw_only=True)
class Memory:
    """start: the first address. size: in bytes."""

    start: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board as an emulator has it.

    core: its processor. machine: the emulator's name. linker: a command, where the compiler calls
    none itself. flags: of the compiler. flash: where code and
    constants lie. start_up: the file of `support` for this kind of processor. stack_size: in bytes,
    of the RAM. settings: of the emulator.
    instructions_per_tick: of its clock; QEMU runs one a nanosecond.
    """

    core: str
    machine: str
    compiler: str = "arm-none-eabi-gcc"
    linker: Sequence[str] = ()
    emulator: str = "qemu-system-arm"
    flags: Sequence[str]
    flash: Memory
    ram: Memory
    start_up: str = "cortex_m.c"
    stack_size: int = 4 * KIB
    settings: Sequence[str] = ()
    instructions_per_tick: float

    @property
    def programs(self) -> Mapping[str, str]:
        """What has to be installed: programs, and the Debian packages that bring them."""
        programs = (self.compiler, *self.linker[:1], self.emulator)
        return {program: PACKAGES[program] for program in programs}


_MPS2_FLASH = Memory(start=0, size=4 * MIB)
_MPS2_RAM = Memory(start=0x20000000, size=4 * MIB)

BOARDS: Mapping[str, Board] = {
    # QEMU has no core of M0+: that of the M0 runs the same instructions.
    "c-m0": Board(
        core="Cortex-M0+",
        machine="microbit",
        flags=("-mcpu=cortex-m0plus", "-mthumb"),
        flash=Memory(start=0, size=256 * KIB),
        ram=Memory(start=0x20000000, size=16 * KIB),
        stack_size=2 * KIB,
        instructions_per_tick=1000 / 16,
    ),
    "c-m3": Board(
        core="Cortex-M3",
        machine="mps2-an385",
        flags=("-mcpu=cortex-m3", "-mthumb"),
        flash=_MPS2_FLASH,
        ram=_MPS2_RAM,
        instructions_per_tick=1000 / 25,
    ),
    "c-m4": Board(
        core="Cortex-M4",
        machine="mps2-an386",
        flags=("-mcpu=cortex-m4", "-mthumb"),
        flash=_MPS2_FLASH,
        ram=_MPS2_RAM,
        instructions_per_tick=1000 / 25,
    ),
    "c-m7": Board(
        core="Cortex-M7",
        machine="mps2-an500",
        flags=("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        flash=_MPS2_FLASH,
        ram=_MPS2_RAM,
        instructions_per_tick=1000 / 25,
    ),
    # The secure addresses, at which these two start.
    "c-m33": Board(
        core="Cortex-M33",
        machine="mps2-an505",
        flags=("-mcpu=cortex-m33", "-mthumb"),
        flash=Memory(start=0x10000000, size=4 * MIB),
        ram=Memory(start=0x38000000, size=4 * MIB),
        instructions_per_tick=1000 / 20,
    ),
    "c-m55": Board(
        core="Cortex-M55",
        machine="mps3-an547",
        flags=("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
        flash=Memory(start=0, size=512 * KIB),
        ram=Memory(start=0x30000000, size=512 * KIB),
        instructions_per_tick=1000 / 32,
    ),
    # It has RAM alone: the lower half is taken for flash.
    "c-rv32": Board(
        core="rv32imc",
        machine="virt",
        compiler="riscv64-unknown-elf-gcc",
        emulator="qemu-system-riscv32",
        flags=("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"),
        flash=Memory(start=0x80000000, size=4 * MIB),
        ram=Memory(start=0x80400000, size=4 * MIB),
        start_up="riscv.c",
        settings=("-bios", "none"),
        instructions_per_tick=1,
    ),
    # Debian has no GCC for it. The simulator's 64 KiB are all RAM, shared out as if some were not.
    "c-msp430": Board(
        core="MSP430",
        machine="sim",
        compiler="clang",
        linker=("ld.lld", "-m", "msp430elf"),
        emulator="mspdebug",
        flags=("--target=msp430", "-ffreestanding", f"-I{SUPPORT / 'msp430_headers'}"),
        flash=Memory(start=0x4400, size=0xBB80),
        ram=Memory(start=0x400, size=0x4000),
        start_up="msp430.c",
        stack_size=2 * KIB,
        instructions_per_tick=1,
    ),
}
