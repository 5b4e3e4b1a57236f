"""Layer tables and stages of convolutions under gcc's sanitizers of addresses and undefined
behavior."""

import subprocess
from pathlib import Path

import pytest

from tests.backend_cpp.test_units import FLAGS, INCLUDES, SOURCES, compiles_for_x86

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
OPTIONS = ["-std=c++17", "-O1", "-fopenmp", "-ffp-contract=off", "-DQUANTLAB_X86=1", "-w"]
# Of each program: the kernels' folders, and the files of src that it needs too.
PROGRAMS = {
    "random_tables": (("factored", "factored_bf16"), ("layer_table", "factored_plan", "isa")),
    "random_stages": (("convolve_stages",), ("isa",)),
}


@pytest.mark.long
@compiles_for_x86
@pytest.mark.parametrize("name", PROGRAMS)
def test_there_is_nothing_to_hide(name: str, tmp_path: Path) -> None:
    kernels, others = PROGRAMS[name]
    folders = [SOURCES / kernel for kernel in kernels]
    files = [
        Path(__file__).parent / f"{name}.cpp",
        *(SOURCES / f"{other}.cpp" for other in others),
        *(file for folder in folders for file in sorted(folder.glob("*.cpp"))),
    ]
    includes = [f"-I{path}" for path in INCLUDES]
    objects = []
    for file in files:
        objects.append(tmp_path / f"{file.parent.name}_{file.stem}.o")
        flags = FLAGS.get(file.stem, []) if file.parent in folders else []
        command = ["g++", *OPTIONS, *SANITIZERS, *flags, *includes, "-c", file, "-o", objects[-1]]
        subprocess.run(command, check=True)
    program = tmp_path / name
    subprocess.run(["g++", "-fopenmp", *SANITIZERS, *objects, "-o", program], check=True)
    result = subprocess.run([program, "200"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
