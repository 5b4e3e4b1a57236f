"""What C costs on a board: measured where the programs are, else said what is missing."""

import re
from pathlib import Path

import pytest

from experiments.deployment.cost import cost_on_board
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.table import ARTEFACTS, absent
from quantlab.errors import UsageError, VerificationError
from tests.quantlab.integer.programs import Author

OPTIONS = {"c": {"board": "c-m0"}, "program": {}}
FILES = {"c": ARTEFACTS["c"].files({"network": Author(3).program(4)}, {}), "program": {}}


def test_without_a_board_nothing_is_measured() -> None:
    assert cost_on_board(FILES, {"c": {}, "program": {}}) == []
    assert cost_on_board(FILES, {"program": {}}) == []


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (line,) = cost_on_board(FILES, OPTIONS)
    assert line.startswith("note: Cortex-M0+ (microbit): not measured without arm-none-eabi-gcc, ")
    assert line.endswith("; install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")


@pytest.mark.skipif(bool(absent(BOARDS["c-m0"].programs)), reason="needs gcc-arm-none-eabi, QEMU")
def test_flash_stack_and_instructions_are_told() -> None:
    test, line = cost_on_board(FILES, OPTIONS)
    assert test == "Cortex-M0+ (microbit): the model's own test passes"
    assert re.fullmatch(
        r"Cortex-M0\+ \(microbit\): [\d,]+ bytes of code and constants, [\d,]+ of stack, "
        r"[\d,]+ instructions \(no cycles\)",
        line,
    )


@pytest.mark.long
@pytest.mark.skipif(bool(absent(BOARDS["c-m0"].programs)), reason="needs gcc-arm-none-eabi, QEMU")
def test_a_model_that_fails_its_own_test_is_refused() -> None:
    source = FILES["c"]["c/model.c"]
    wrong = re.sub(rb"crc == UINT32_C\(\d+", b"crc == UINT32_C(1", source)
    assert wrong != source
    with pytest.raises(VerificationError, match="ql_selftest returned 2, 0 expected"):
        cost_on_board({**FILES, "c": {**FILES["c"], "c/model.c": wrong}}, OPTIONS)


@pytest.mark.long
@pytest.mark.skipif(bool(absent(BOARDS["c-m0"].programs)), reason="needs gcc-arm-none-eabi, QEMU")
def test_what_does_not_fit_with_its_code_is_refused() -> None:
    more = b"static const uint8_t more[262000] = {1};\nconst uint8_t* ql_more(void);\n"
    more += b"const uint8_t* ql_more(void) { return more; }\n"
    larger = {**FILES["c"], "c/model.c": FILES["c"]["c/model.c"] + more}
    with pytest.raises(UsageError, match="bytes of FLASH needed, 262,144 available"):
        cost_on_board({**FILES, "c": larger}, OPTIONS)
