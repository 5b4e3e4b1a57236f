"""The check of modules."""

from collections.abc import Mapping

import pytest

from quantlab.deploy.clickhouse.wasm import check_module, module_of
from quantlab.deploy.clickhouse.wasm.binary import HEADER, Function, encode
from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.expressions import I32
from quantlab.errors import UsageError
from tests.quantlab.deploy.clickhouse.wasm.layers import CASES, program_of

EXPORTS = {"clickhouse_create_buffer": 0, "clickhouse_destroy_buffer": 1, "classify": 2}


def module(exports: Mapping[str, int] = EXPORTS) -> bytes:
    functions = []
    for num_parameters, has_result in ((1, True), (1, False), (2, True)):
        body = Body([I32] * num_parameters)
        if has_result:
            body.give(I32.of(0))
        one = Function(body=body, num_parameters=num_parameters, has_result=has_result)
        functions.append(one)
    return encode(functions, exports, 1, [], {})


def refusal(code: bytes, **settings: int) -> str:
    with pytest.raises(UsageError) as error:
        check_module(code, "classify", name="module 'm'", **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_good_modules_pass() -> None:
    check_module(module(), "classify")
    found = module_of(program_of(CASES["shorts"]))
    check_module(found.code, found.function, most_bytes=len(found.code))


@pytest.mark.parametrize("missing", EXPORTS)
def test_each_function_is_needed(missing: str) -> None:
    exports = {name: index for name, index in EXPORTS.items() if name != missing}
    assert refusal(module(exports)) == f"module 'm': exports no function '{missing}'"


def test_near_names_are_told() -> None:
    exports = {name.replace("classify", "clasify"): index for name, index in EXPORTS.items()}
    assert "did you mean 'clasify'?" in refusal(module(exports))


def test_memory_is_needed() -> None:
    code = module().replace(b"\x06memory\x02\x00", b"\x06nemory\x02\x00")
    assert "exports no memory 'memory'" in refusal(code)


def test_functions_have_their_types() -> None:
    swapped = {**EXPORTS, "classify": 0}
    assert "the function 'classify' has other arguments or results" in refusal(module(swapped))


def test_imports_are_refused() -> None:
    imported = b"\x02\x07\x01\x01e\x01f\x00\x00"
    code = module()
    assert "imports 1 names, none allowed" in refusal(HEADER + imported + code[len(HEADER) :])


def test_size_is_checked() -> None:
    code = module()
    said = refusal(code, most_bytes=10)
    assert said == f"module 'm': {len(code)} bytes given, at most 10 allowed"


def test_what_is_no_module_is_refused() -> None:
    for code in (b"", b"\0asm", b"SELECT 1", b"\0asm\x02\0\0\0" + module()[8:]):
        assert refusal(code) == "module 'm': no module of WebAssembly 1"


def test_cut_modules_are_refused() -> None:
    code = module()
    end = len(code) - len(b"\x0b\x01\x00")  # an empty data section, which may be missing
    for length in range(end):
        assert "module 'm': " in refusal(code[:length])


def test_damaged_modules_are_refused_in_one_line_or_pass() -> None:
    code, said = module(), []
    for place in range(len(HEADER), len(code)):
        for byte in (0, 0x7F, 0xFF):
            damaged = code[:place] + bytes([byte]) + code[place + 1 :]
            try:
                check_module(damaged, "classify")
            except UsageError as error:
                said.append(str(error))
    assert len(said) > len(code)
    assert not any("\n" in one for one in said)
