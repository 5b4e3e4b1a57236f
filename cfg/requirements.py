"""What this project needs from the machine and from the package registry.

    python3 cfg/requirements.py                       one line if Debian packages are missing
    python3 cfg/requirements.py --tests               the line that installs what tests skip without
    python3 cfg/requirements.py --packages EXTRA ...  pyproject.toml's requirements of extras

The last form exists because pip cannot install the extras of a project without building it.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

_DEBIAN = {"g++": "g++", "make": "make", "cmake": "cmake", "git": "git"}
# What tests skip without, in all runs and in long ones; cfg/tools.sh installs the former.
_TESTS = {
    "qemu-x86_64": "qemu-user",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}
_LONG_TESTS = {
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    "qemu-system-riscv32": "qemu-system-misc",
    "clang": "clang",
    "ld.lld": "lld",
    "mspdebug": "mspdebug",
    "ip": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
}
_PYTHON = ((3, 11), (3, 13))


def missing_debian_packages() -> list[str]:
    """Return the names of the Debian packages whose programs are not here."""
    missing = _absent(_DEBIAN)
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        missing.append("python3-venv")
    header = Path(__import__("sysconfig").get_paths()["include"]) / "Python.h"
    if not header.exists():
        missing.append("python3-dev")
    return missing


def _absent(programs: dict[str, str]) -> list[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # the last two: not on users' PATH
    return [
        packages
        for program, packages in programs.items()
        if shutil.which(program, path=path) is None
    ]


def packages(extras: list[str]) -> list[str]:
    """Return the requirements of the project and its extras; `build` means those of the build."""
    import tomllib

    root = Path(__file__).resolve().parent.parent
    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    found = list(project["dependencies"])
    queue = list(extras)
    while queue:
        extra = queue.pop()
        wanted = (
            pyproject["build-system"]["requires"] + _HOROVOD_BUILD
            if extra == "build"
            else project["optional-dependencies"][extra]
        )
        for requirement in wanted:
            if requirement.startswith(f"{project['name']}["):
                queue += requirement.partition("[")[2].rstrip("]").split(",")
            else:
                found.append(requirement)
    return sorted(set(found))


# What the source build of Horovod imports (cfg/horovod.sh).
_HOROVOD_BUILD = ["setuptools<81", "wheel", "packaging", "cffi", "cloudpickle", "psutil"]


def main(arguments: list[str]) -> int:
    """Check, or print; return the exit code."""
    if arguments[:1] == ["--packages"]:
        print("\n".join(packages(arguments[1:])))
        return 0
    if arguments == ["--tests"]:
        missing = _absent({**_TESTS, **_LONG_TESTS})
        print(f"sudo apt-get install {' '.join(missing)}" if missing else "nothing is missing")
        return 0
    oldest, newest = _PYTHON
    if not oldest <= sys.version_info[:2] < newest:
        print(
            f"Python {sys.version.split()[0]}: needed is 3.11 or 3.12; name one with PYTHON3=...",
            file=sys.stderr,
        )
        return 2
    missing = missing_debian_packages()
    if missing:
        print(f"missing; run: sudo apt-get install {' '.join(missing)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
