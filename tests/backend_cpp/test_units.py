"""Files that are compiled for an instruction set share no code with the rest of the library.

An inline function of the standard library that such a file used would be a weak symbol; the linker
keeps one copy of it for all, possibly the one that an older processor cannot run.
"""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "backend_cpp" / "src"
INCLUDES = (SOURCES, ROOT / "backend_cpp" / "include")
CMAKE = (ROOT / "CMakeLists.txt").read_text()
FLAGS = {name: text.split() for name, text in re.findall(r"set\(ISA_FLAGS_(\w+) ([^)]*)\)", CMAKE)}
UNITS = sorted(path for path in SOURCES.glob("*/*.cpp") if path.stem in {"scalar", *FLAGS})
ALLOWED_UNDEFINED = {"memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}

compiles_for_x86 = pytest.mark.skipif(
    shutil.which("g++") is None or shutil.which("nm") is None or platform.machine() != "x86_64",
    reason="needs g++ and nm (binutils) on x86-64",
)


def unit_name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def compile_unit(path: Path, optimization: str, target: Path) -> Path:
    """Compile as CMakeLists.txt does, with the flags of the instruction set that names the file."""
    includes = [f"-I{folder}" for folder in INCLUDES]
    options = ["-std=c++17", optimization, "-DNDEBUG", "-fPIC", "-w", *FLAGS.get(path.stem, [])]
    subprocess.run(["g++", *options, *includes, "-c", path, "-o", target], check=True)
    return target


def sources(path: Path) -> set[Path]:
    """The file and all of ours that it includes."""
    names = re.findall(r'#include "(.+)"', path.read_text())
    included = [folder / name for name in names for folder in INCLUDES if (folder / name).exists()]
    return {path}.union(*map(sources, included))


def built(path: Path) -> Path | None:
    """The object that the extension was linked from, if it is up to date."""
    name = f"CMakeFiles/_backend.dir/{path.relative_to(ROOT)}.o"
    changed = max(file.stat().st_mtime for file in (ROOT / "CMakeLists.txt", *sources(path)))
    objects = ROOT.glob(f"build/*/{name}")
    return next((object_ for object_ in objects if object_.stat().st_mtime > changed), None)


def check_symbols(target: Path, isa: str) -> None:
    listing = subprocess.run(["nm", target], check=True, capture_output=True, text=True).stdout
    symbols = [line.split()[-2:] for line in listing.splitlines()]
    assert symbols
    assert [name for kind, name in symbols if kind in "WwVvu"] == []
    assert {name for kind, name in symbols if kind == "U"} <= ALLOWED_UNDEFINED
    exported = [name for kind, name in symbols if kind.isupper() and kind != "U"]
    assert exported
    assert [name for name in exported if isa not in name] == []


@compiles_for_x86
@pytest.mark.parametrize("path", UNITS, ids=unit_name)
def test_no_symbol_is_shared(path: Path, tmp_path: Path) -> None:
    target = built(path) or compile_unit(path, "-O3", tmp_path / "unit.o")
    check_symbols(target, path.stem)


@compiles_for_x86
@pytest.mark.parametrize("isa", ["scalar", *FLAGS])
def test_no_symbol_is_shared_whatever_is_inlined(isa: str, tmp_path: Path) -> None:
    """Nothing is inlined. All units of an instruction set are one, as a compiler reads the
    intrinsics for longer than any of them."""
    paths = [path for path in UNITS if path.stem == isa]
    together = tmp_path / f"{isa}.cpp"
    together.write_text("".join(f'#include "{path}"\n' for path in paths))
    check_symbols(compile_unit(together, "-O0", tmp_path / "unit.o"), isa)


@pytest.mark.parametrize("path", UNITS, ids=unit_name)
def test_includes_only_intrinsics_and_the_body(path: Path) -> None:
    included = set(re.findall(r"#include [<\"](.+)[>\"]", path.read_text()))
    isa = path.stem.removesuffix("vnni").removesuffix("vpopcntdq").replace("amx_bf16", "avx512")
    vectors = {f"quantlab/{kind}/{isa}.h" for kind in ("bytes", "floats", "lanes")}
    assert included <= {"immintrin.h", f"{path.parent.name}/body.h", *vectors}


def test_the_build_knows_every_unit() -> None:
    kernels = re.search(r"set\(KERNELS ([^)]*)\)", CMAKE)
    isas = re.search(r"set\(ISAS ([^)]*)\)", CMAKE)
    assert kernels is not None
    assert isas is not None
    folders = {path.name for path in SOURCES.iterdir() if path.is_dir()}
    assert set(kernels[1].split()) == folders
    assert set(isas[1].split()) == set(FLAGS)
    for folder in folders:
        assert (SOURCES / folder / "scalar.cpp").exists()
        stems = {path.stem for path in (SOURCES / folder).glob("*.cpp")}
        assert stems <= {"scalar", folder, *FLAGS}


def test_flags_change_no_arithmetic_and_no_other_processor() -> None:
    assert FLAGS
    for path in [ROOT / "CMakeLists.txt", *SOURCES.rglob("*.cpp")]:
        assert not re.search(r"-march=native|-ffast-math|-Ofast", path.read_text())
