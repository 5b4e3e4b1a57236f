"""`main.py generate` and `main.py test --pack` on runs of the toy problem, in this process."""

import json
import re
import resource

import pytest

import main
from quantlab.formats import compact, container
from quantlab.packs import load, pack_sizes
from tests.experiments.commands.test_verify import deployed
from tests.lab import TOY_RUN, Lab

WEIGHTS = "[{select: '*', on: weight, algorithm: {kind: lsq, num_bits: 4}}]"
GENERATE = ("generate", "--problem=Toy", "--exp_id=0")
TEST = ("test", "--problem=Toy", "--exp_id=0", "--json")


def metrics(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, float]:
    capsys.readouterr()
    assert main.main([*TEST, *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["is_pack"] == ("--pack" in arguments)
    values: dict[str, float] = found["metrics"]
    return values


def test_the_pack_is_the_network(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*TOY_RUN, f"--quantize.rules={WEIGHTS}"]) == 0
    capsys.readouterr()
    assert main.main([*TEST, "--pack"]) == 3
    assert re.search(r"network\.mlgpack: .*generate", capsys.readouterr().err)
    assert main.main(GENERATE) == 0
    out = capsys.readouterr().out
    data = (deployed(lab) / "network.mlgpack").read_bytes()
    assert f"{len(data):,}" in out
    assert str(deployed(lab) / "network.mlgpack") in out.replace("\n", "")
    assert sum(size.nbytes for size in pack_sizes(data)) == len(data)
    codes = load(deployed(lab) / "network.mlgpack").weights
    assert {weight.parts["weight"].num_bits for weight in codes.values()} == {4}
    expected = metrics(capsys)
    assert metrics(capsys, "--pack") == pytest.approx(expected, rel=1e-5)
    assert main.main([*GENERATE, "--floats=float16", "--entropy=no"]) == 0
    assert metrics(capsys, "--pack") == pytest.approx(expected, rel=1e-2)
    assert main.main([*GENERATE, "--floats=int8"]) == 0
    assert (deployed(lab) / "network.mlgpack").read_bytes() != data
    assert set(metrics(capsys, "--pack")) == set(expected)


def test_generated_layers_are_packed_as_factors(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    factors = ("--mlg.base_in=2", "--mlg.base_out=3", "--mlg.layers=type:Conv2d | type:Linear")
    assert main.main([*TOY_RUN, *factors]) == 0
    capsys.readouterr()
    assert main.main(GENERATE) == 0
    out = " ".join(capsys.readouterr().out.split())
    size = (deployed(lab) / "network.mlgpack").stat().st_size
    assert re.search(rf"bytes: \d+ by the paper's formula, \d+ with .*, {size:,} in the file", out)
    expected = metrics(capsys)
    assert metrics(capsys, "--pack") == pytest.approx(expected, rel=1e-5)
    pack = load(deployed(lab) / "network.mlgpack")
    assert {part for weight in pack.weights.values() for part in weight.parts} >= {"basis"}


def test_a_damaged_pack_is_not_tested(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*TOY_RUN, f"--quantize.rules={WEIGHTS}"]) == 0
    assert main.main(GENERATE) == 0
    path = deployed(lab) / "network.mlgpack"
    path.write_bytes(path.read_bytes()[:-40])
    capsys.readouterr()
    assert main.main([*TEST, "--pack"]) == 5
    error = capsys.readouterr().err
    assert "network.mlgpack: " in error
    assert error.count("\n") == 1


def test_a_pack_of_other_weights_is_not_tested(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(TOY_RUN) == 0
    last = "--checkpoint=last"
    assert main.main([*GENERATE, last]) == 0
    assert set(metrics(capsys, last, "--pack"))
    resume = ("resume", "--problem=Toy", "--exp_id=0", "--experiment.epochs=3")
    assert main.main(resume) == 0
    capsys.readouterr()
    assert main.main([*TEST, last, "--pack"]) == 5
    error = capsys.readouterr().err
    assert re.search(r"network\.mlgpack: was made from other weights .*; generate again\n$", error)
    assert error.count("\n") == 1
    assert main.main([*GENERATE, last]) == 0
    assert set(metrics(capsys, last, "--pack"))


def test_a_pack_that_cannot_be_written_is_one_line(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(TOY_RUN) == 0
    capsys.readouterr()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert main.main(GENERATE) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = capsys.readouterr().err
    assert re.search(r"network\.mlgpack: cannot be written: File too large\n$", error)
    assert not list(deployed(lab).iterdir())


def test_a_pack_that_cannot_be_run_is_one_line(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(TOY_RUN) == 0
    assert main.main(GENERATE) == 0
    path = deployed(lab) / "network.mlgpack"
    contents = container.unpack(path.read_bytes(), "mlgpack", "x")
    tensors = {name: compact.Compact(values=x) for name, x in contents.tensors.items()}
    sizes = dict.fromkeys(contents.meta["sizes"], 2**40)
    path.write_bytes(compact.pack("mlgpack", {**contents.meta, "sizes": sizes}, tensors))
    capsys.readouterr()
    assert main.main([*TEST, "--pack"]) == 5
    assert re.search(r"network\.mlgpack: no pack can be made of it: .*\n$", capsys.readouterr().err)
