"""list, clean, test, predict and data, on runs of the toy problem."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import main
from experiments.library import load_library, load_problem
from experiments.runs.folder import Lock, create_run
from tests.lab import TOY_RUN, Lab

Captured = pytest.CaptureFixture[str]


def said(capsys: Captured, *arguments: str) -> str:
    capsys.readouterr()
    assert main.main(list(arguments)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def said_json(capsys: Captured, *arguments: str) -> Any:
    return json.loads(said(capsys, *arguments, "--json"))


def test_list(lab: Lab, capsys: Captured) -> None:
    assert said_json(capsys, "list") == []
    main.main([*TOY_RUN, "--experiment.name=a [b] 'c'"])
    main.main(["--problem=Toy", "--topology=Other"])
    runs = said_json(capsys, "list")
    assert [run["id"] for run in runs] == ["Toy/exp000", "Toy/exp001"]
    assert runs == [lab.record(0), lab.record(1)]
    assert [run["id"] for run in said_json(capsys, "list", "--topology=Other")] == ["Toy/exp001"]
    assert said_json(capsys, "list", "--problem=MNIST") == []
    table = said(capsys, "list", "--problem=Toy")
    assert "Toy/exp000" in table
    assert "a [b] 'c'" in table
    assert f"top1 {lab.record()['metrics']['test/top1']:.4g} (synthetic)" in table


def test_list_shows_what_never_began_as_nothing(lab: Lab, capsys: Captured) -> None:
    main.main([*TOY_RUN])
    create_run("Toy", lab.logs)
    assert [run["id"] for run in said_json(capsys, "list")] == ["Toy/exp000"]


def test_clean(lab: Lab, capsys: Captured) -> None:
    main.main([*TOY_RUN, "--checkpoint.every_epochs=1"])
    main.main([*TOY_RUN])
    lab.folder(1).update(status="running")
    (lab.folder(1).fold(0) / "saves" / ".last.fresh").write_bytes(b"torn")
    never_began, held = create_run("Toy", lab.logs), create_run("Toy", lab.logs)
    lock = Lock(held.path)

    def files() -> set[str]:
        return {str(p.relative_to(lab.logs)) for p in lab.logs.rglob("*") if p.name != "lock"}

    before = files()
    table = said(capsys, "clean")
    assert files() == before, "only looked at"
    assert "killed" in table
    assert "running" in table
    assert "main.py clean --apply" in table
    assert "removed" in said(capsys, "clean", "--apply", "--problem=Toy")
    lock.release()
    saves = "exp000/fold0/saves"
    gone = {f"{saves}/previous.ckpt", f"{saves}/epoch0001.ckpt", f"{saves}/epoch0002.ckpt"}
    gone |= {"exp001/fold0/saves/.last.fresh", never_began.path.name}
    assert before - files() == gone
    assert main.main(["test", "--problem=Toy", "--exp_id=0"]) == 0
    assert "0 B may go" in said(capsys, "clean", "--problem=MNIST")


def test_test(lab: Lab, capsys: Captured) -> None:
    main.main([*TOY_RUN, "--experiment.epochs=3"])
    found = said_json(capsys, "test", "--problem=Toy", "--exp_id=0")
    assert found["checkpoint"] == "best"
    recorded = {k: v for k, v in lab.record()["metrics"].items() if k.startswith("test/")}
    assert {f"test/{name}": value for name, value in found["metrics"].items()} == recorded
    last = said_json(capsys, "test", "--problem=Toy", "--exp_id=0", "--checkpoint=last")
    assert last["checkpoint"] == "last"
    assert last["metrics"]["loss"] != found["metrics"]["loss"]
    table = said(capsys, "test", "--problem=Toy", "--exp_id=0", "--topology=Tiny")
    assert f"{found['metrics']['top1']:.4f}" in table


def test_test_uses_the_average_where_there_is_one(lab: Lab, capsys: Captured) -> None:
    main.main([*TOY_RUN, "--training.ema.decay=0.99", "--data.valid_fraction=0"])
    found = said_json(capsys, "test", "--problem=Toy", "--exp_id=0")
    assert found["metrics"]["loss"] == lab.record()["metrics"]["test/loss"]


def test_predict(lab: Lab, capsys: Captured) -> None:
    main.main([*TOY_RUN, "--config=quantized", "--data.valid_fraction=0"])
    data = load_problem("Toy").data.load(Path(), "synthetic").test
    files = []
    for index in range(3):
        file = lab.home / f"{index}.png"
        Image.fromarray(np.asarray(data.inputs[index, 0])).save(file)
        files.append(str(file))
    found = said_json(capsys, "predict", "--problem=Toy", "--exp_id=0", "--top=4", *files)
    assert [row["file"] for row in found] == files
    library = load_library("Toy", "Tiny")
    network = restored_network(lab)
    scores = network(library.preprocess.evaluate(data.inputs[:3])).softmax(1)
    for row, expected in zip(found, scores.tolist(), strict=True):
        guesses = {guess["class"]: guess["score"] for guess in row["predictions"]}
        assert list(guesses.values()) == sorted(guesses.values(), reverse=True)
        for name, score in zip(data.classes, expected, strict=True):
            assert guesses[name] == pytest.approx(score, abs=1e-6)
    table = said(capsys, "predict", "--problem=Toy", "--exp_id=0", "--top=1", files[0])
    assert found[0]["predictions"][0]["class"] in table


def restored_network(lab: Lab) -> torch.nn.Module:
    from experiments.command_line import Invocation
    from experiments.commands.restored import restore

    options = {"problem": "Toy", "exp_id": "0"}
    invocation = Invocation(command="test", options=options, overrides=[], operands=[])
    return restore(invocation).network


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("gone.png", None, 3, "gone.png: No such file"),
        ("text.png", b"no image", 3, "text.png: no image that can be read"),
        ("folder.png", "folder", 3, "folder.png"),
        ("torn.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", 3, "torn.png"),
    ],
)
def test_files_that_are_no_images(
    lab: Lab, capsys: Captured, name: str, content: bytes | str | None, code: int, words: str
) -> None:
    main.main([*TOY_RUN])
    file = lab.home / name
    if content == "folder":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    capsys.readouterr()
    assert main.main(["predict", "--problem=Toy", "--exp_id=0", str(file)]) == code
    captured = capsys.readouterr()
    assert (captured.out, len(captured.err.splitlines())) == ("", 1)
    assert words in captured.err


def test_data(lab: Lab, capsys: Captured) -> None:
    assert "Toy: patches in" in said(capsys, "data", "--problem=Toy")
    assert (lab.problems / "Toy" / "data" / "patches.txt").exists()
