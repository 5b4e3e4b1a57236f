"""Layer tables under gcc's sanitizers of addresses and undefined behavior."""

import subprocess
from pathlib import Path

import pytest

from tests.backend_cpp.test_units import FLAGS, INCLUDES, SOURCES, compiles_for_x86

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
OPTIONS = ["-std=c++17", "-O1", "-fopenmp", "-ffp-contract=off", "-DQUANTLAB_X86=1", "-w"]
FOLDER = SOURCES / "factored"
FILES = [
    Path(__file__).parent / "random_tables.cpp",
    *(SOURCES / f"{name}.cpp" for name in ("layer_table", "factored_plan", "isa")),
    *sorted(FOLDER.glob("*.cpp")),
]


@pytest.mark.long
@compiles_for_x86
def test_layer_tables_have_nothing_to_hide(tmp_path: Path) -> None:
    includes = [f"-I{folder}" for folder in INCLUDES]
    objects = []
    for file in FILES:
        objects.append(tmp_path / f"{file.stem}.o")
        flags = FLAGS.get(file.stem, []) if file.parent == FOLDER else []
        command = ["g++", *OPTIONS, *SANITIZERS, *flags, *includes, "-c", file, "-o", objects[-1]]
        subprocess.run(command, check=True)
    program = tmp_path / "random_tables"
    subprocess.run(["g++", "-fopenmp", *SANITIZERS, *objects, "-o", program], check=True)
    result = subprocess.run([program, "200"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
