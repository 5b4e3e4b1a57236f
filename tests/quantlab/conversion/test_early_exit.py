"""`save_compressed_early_exit_model`: the documented call, what is written, what it computes."""

from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import torch

from quantlab import (
    calibrate,
    quantize,
    save_compressed_early_exit_model,
    save_compressed_model,
)
from quantlab.conversion.samples import codes_of
from quantlab.deploy.c.exits.host import verify_exits
from quantlab.errors import UsageError
from quantlab.exits.interpreter import exit_scores, leave, margins
from quantlab.exits.program import NEVER
from tests.quantlab.conversion.early_exits import Baseline, images, models

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")


def simulate_exit(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return what the exit gets behind two layers."""
    return [*outputs[:2], torch.zeros_like(outputs[2])]


@needs_compiler
def test_the_documented_call_writes_the_documented_directory_which_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (baseline, exit_model), x = models(), images()
    before = {name: value.clone() for name, value in baseline.state_dict().items()}
    with pytest.warns(UserWarning, match="^samples: 1 given to read the ranges"):
        saved = save_compressed_early_exit_model(
            baseline, exit_model, "csr", simulate_exit=simulate_exit, input_data=x[0]
        )
    written = {p.relative_to("my_model").as_posix() for p in Path("my_model").rglob("*.*")}
    documented = {"model.c", "model.h", "model_ee.c", "model_ee.h"}
    documented |= {f"headers/{name}.h" for name in ("conv1", "conv2", "conv3", "fc1", "headers")}
    documented |= {"headers/fc1_ee.h", "headers/headers_ee.h", "headers/input.h"}
    assert written == set(saved.hashes) >= documented
    assert all(torch.equal(baseline.state_dict()[name], one) for name, one in before.items())
    verify_exits(saved.exits, saved.folder, {"input": codes_of(x, saved.spec)})


@pytest.mark.long
@pytest.mark.parametrize("computed", [1, 2, 3])
def test_an_exit_reads_only_the_layers_computed_until_then(computed: int, tmp_path: Path) -> None:
    (baseline, exit_model), x = models(), images()
    saved = save_compressed_early_exit_model(
        baseline, exit_model, "auto", computed, None, x, directory=tmp_path
    )
    segment, head = saved.exits.parts[0]
    assert {o.layer for o in segment if "conv" in o.layer} == {
        f"baseline.conv{number + 1}" for number in range(computed)
    }
    assert not [o.layer for o in head if "conv" in o.layer]
    assert "accuracy 100.00 %" in str(saved)


@pytest.mark.long
@pytest.mark.parametrize("computed", [2, 3])
def test_intermediate_outputs_wait_for_the_exit_pooled(computed: int, tmp_path: Path) -> None:
    (baseline, exit_model), x = models(), images()
    saved = save_compressed_early_exit_model(
        baseline, exit_model, "auto", computed, None, x, directory=tmp_path / "both"
    )
    alone = save_compressed_model(baseline, "auto", None, x, directory=tmp_path / "alone")
    pooled = 4 * 4 + 3 * 4
    assert saved.sizes.arena <= alone.sizes.arena + pooled


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("representation", ["auto", "csr"])
def test_several_exits_have_one_set_of_weights(representation: str, tmp_path: Path) -> None:
    (baseline, exit_model), x = models(), images()

    def saved(computed: Any) -> Any:
        return save_compressed_early_exit_model(
            baseline, exit_model, representation, computed, None, x, directory=tmp_path, floor=60.0
        )

    last = saved(3).sizes.constants["fc1_ee"]
    several = saved([1, 2, 3])
    own = [several.sizes.constants[f"fc{number}_ee"] for number in (1, 2, 3)]
    assert own[0] == last >= exit_model.fc1.weight.numel()
    assert own[1] < exit_model.fc1.weight.numel() > own[2]
    verify_exits(several.exits, several.folder, {"input": codes_of(x, several.spec)})


@pytest.mark.long
def test_a_threshold_is_chosen_that_keeps_the_accuracy_of_the_baseline(tmp_path: Path) -> None:
    (baseline, exit_model), x = models(), images()
    targets = torch.arange(len(x)) % 3
    saved = save_compressed_early_exit_model(
        baseline, exit_model, "auto", 2, None, x, targets, directory=tmp_path
    )
    scores = exit_scores(saved.exits, {"input": codes_of(x, saved.spec)})
    alone = 100 * (scores[1].argmax(1) == targets.numpy()).mean()
    right = leave(scores, saved.exits.thresholds).scores.argmax(1) == targets.numpy()
    assert 100 * right.mean() >= alone
    assert saved.report.accuracy == 100 * right.mean()


@pytest.mark.long
def test_a_floor_and_a_margin_set_the_threshold(tmp_path: Path) -> None:
    (baseline, exit_model), x = models(), images()

    def saved(**options: Any) -> Any:
        return save_compressed_early_exit_model(
            baseline, exit_model, "auto", 2, None, x, directory=tmp_path, **options
        )

    everything = saved(floor=0.0)
    assert everything.report.exits[0].share == 100
    found = saved(margin=0.01)
    gaps = margins(exit_scores(found.exits, {"input": codes_of(x, found.spec)})[0])
    scale = float(found.exits.program.reals[found.exits.scores[0]].scale.reshape(-1)[0])
    assert found.report.exits[0].share == 100 * (gaps * scale >= 0.01).mean()
    assert saved(margin=float("inf")).exits.thresholds == (NEVER,)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("dtype", ["s8", "s16"])
@pytest.mark.parametrize("representation", ["csr", "smallest", "dense"])
@pytest.mark.parametrize("computed", [1, 2, 3])
def test_c_computes_the_program(
    computed: int, representation: str, dtype: str, tmp_path: Path
) -> None:
    (baseline, exit_model), x = models(computed), images()
    gaps = []
    for margin in (float("inf"), None):
        saved = save_compressed_early_exit_model(
            baseline,
            exit_model,
            representation,
            computed,
            x[:2],
            x,
            directory=tmp_path,
            dtype=dtype,
            margin=margin if margin is not None else float(np.median(gaps)),
        )
        inputs = {"input": codes_of(x, saved.spec)}
        verify_exits(saved.exits, saved.folder, inputs)
        name = saved.exits.scores[0]
        scale = float(saved.exits.program.reals[name].scale.reshape(-1)[0])
        gaps = list(margins(exit_scores(saved.exits, inputs)[0]) * scale)
    assert 0 < saved.report.exits[0].share < 100


@pytest.mark.long
def test_a_folder_of_another_model_is_replaced_whole(tmp_path: Path) -> None:
    (baseline, exit_model), x = models(), images()
    save_compressed_early_exit_model(baseline, exit_model, "csr", 2, None, x, directory=tmp_path)
    saved = save_compressed_model(baseline, "csr", None, x, directory=tmp_path)
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")} == set(saved.hashes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": 3}, "model: a int given"),
        ({"early_exit_model": 3}, "early_exit_model: a int given"),
        ({"representation": "pair"}, "representation: 'pair' given"),
        ({"dtype": "f32"}, "dtype: 'f32' given, s8, s16 allowed with an exit"),
        ({"dtype": "s9"}, "dtype: 's9' given, s8, s16 allowed with an exit"),
        ({"example_data": None}, "input_data: None given, a sample needed, or example_data"),
        ({"example_data": torch.rand(2, 3)}, "example_data: "),
        pytest.param(
            {"example_targets": torch.full((32,), 3)},
            "example_targets: 3 given, classes 0 to 2",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"floor": 101.0},
            "floor: 101.0 % given, at most 100.00 % can be had",
            marks=pytest.mark.long,
        ),
        ({"floor": "x"}, "floor: a str given"),
        ({"margin": -1.0}, "margin: -1.0 given"),
        ({"margin": "x"}, "margin: a str given"),
        ({"margin": 1.0, "floor": 1.0}, "floor, margin: both given"),
        ({"simulate_exit": 9}, "simulate_exit: 9 given, 1 to 3 allowed"),
        pytest.param({"ram": 100}, "ram: ", marks=pytest.mark.long),
        pytest.param({"flash": 100}, "flash: ", marks=pytest.mark.long),
        ({"ram": "x"}, "ram: a str given"),
        ({"model": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 3))}, "model: "),
    ],
)
def test_wrong_arguments_are_one_line_and_nothing_is_written(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    baseline, exit_model = models()
    given = {
        "model": baseline,
        "early_exit_model": exit_model,
        "representation": "csr",
        "example_data": images(),
        "directory": tmp_path / "my_model",
        **changes,
    }
    with pytest.raises(UsageError, match=f"^{said}") as caught:
        save_compressed_early_exit_model(**given)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_baseline_that_is_quantized_alone_is_refused_with_the_layer(tmp_path: Path) -> None:
    (_, exit_model), baseline = models(), Baseline()
    rule = {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 8}}
    quantize(baseline, [rule])
    calibrate(baseline, [images()])
    with pytest.raises(UsageError, match=r"exit\.fc1"):
        save_compressed_early_exit_model(
            baseline, exit_model, "csr", 2, None, images(), directory=tmp_path
        )
