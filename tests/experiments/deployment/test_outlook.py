"""What is told before a run trains is what export says after it."""

import pytest

import main
from tests.lab import TOY_RUN, Lab

NOTE = "note: no integer program can be made of this run: "


def rules(*entries: str) -> str:
    return f"--quantize.rules=[{', '.join(entries)}]"


def on(what: str, select: str, algorithm: str) -> str:
    return f"{{select: '{select}', on: {what}, algorithm: {algorithm}}}"


STE = "{kind: ste, num_bits: 8}"
INQ = "{kind: inq, num_levels: 5, fraction: {kind: hand, values: {0: 0.5, 1: 1.0}}}"
INPUTS = on("input", "!first", STE)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (on("weight", "*", STE), None),
        (on("weight", "*", "{kind: ste, num_bits: 4, start_epoch: 1}"), None),
        (on("weight", "*", INQ), None),
        (on("weight", "!first", STE), "layer 'conv': its weight has no quantizer"),
        (on("weight", "*", "{kind: ste, num_bits: 12}"), "weights of -2047 to 2047, -128 to 127"),
    ],
)
def test_the_note_is_what_export_says(
    lab: Lab, capsys: pytest.CaptureFixture[str], weights: str, words: str | None
) -> None:
    assert main.main([*TOY_RUN, rules(weights, INPUTS)]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    code = main.main(["export", "--problem=Toy", "--exp_id=0"])
    error = capsys.readouterr().err
    if words is None:
        assert "note: " not in out
        assert code == 0, error
        return
    (line,) = [line for line in out.splitlines() if line.startswith(NOTE)]
    assert words in line
    assert out.index(line) < out.index("epoch   1/")
    assert code == 2
    assert error == f"main.py: {line.removeprefix(NOTE)}\n"
    assert line in (lab.folder().path / "log.rank0.txt").read_text()


def test_a_library_without_a_normalization(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    file = lab.problems / "Toy" / "Tiny" / "preprocess.py"
    file.write_text(file.read_text().replace("NORMALIZATION =", "OTHER ="))
    assert main.main([*TOY_RUN, rules(on("weight", "*", STE), INPUTS)]) == 0
    assert f"{NOTE}Tiny: its preprocess.py has no NORMALIZATION" in capsys.readouterr().out


AUXILIARY = """

class Auxiliary(Plain):
    def __init__(self, hidden: int = 16) -> None:
        super().__init__(hidden)
        self.aux = nn.Linear(hidden, 4)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        hidden = self.relu(self.linear1(self.flatten(x_NCHW)))
        scores = self.linear2(hidden)
        return scores + self.aux(hidden) if self.training else scores
"""


def test_a_head_for_training_alone_is_not_in_the_way(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    with (lab.problems / "Toy" / "Tiny" / "network.py").open("a") as file:
        file.write(AUXILIARY)
    given = (*TOY_RUN, "--network.class=Auxiliary", rules(on("weight", "*", STE), INPUTS))
    assert main.main(given) == 0, capsys.readouterr().err
    assert NOTE not in capsys.readouterr().out
    assert main.main(["export", "--problem=Toy", "--exp_id=0"]) == 0


def test_precisions_do_not_matter(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    given = rules(on("weight", "*", STE), INPUTS)
    for exp_id, precision in enumerate(("float64", "bfloat16")):
        assert main.main([*TOY_RUN, given, f"--training.precision={precision}"]) == 0
        assert "note: " not in capsys.readouterr().out
        assert main.main(["export", "--problem=Toy", f"--exp_id={exp_id}"]) == 0


def test_a_float_run_says_what_it_lacks(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*TOY_RUN]) == 0
    assert "note: float; export and verify need weights of at most 8" in capsys.readouterr().out
