"""Statistics in whole runs: what is written, that training stays what it is, and going on after a
kill."""

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import main
from experiments.processes.communicator import Communicator, Single
from experiments.progress import Steps
from experiments.runs.logbook import Logbook
from experiments.training.monitoring import Monitoring, check_times, create_monitor
from quantlab.controller import Context
from quantlab.errors import UsageError
from quantlab.monitor import STATISTICS, Monitor
from tests.experiments.experiment.test_assembly import build, configured
from tests.experiments.test_launchers import horovodrun, needs_horovod, succeed, torchrun
from tests.experiments.training.test_resume import interrupt, kill
from tests.lab import TOY_RUN, Lab
from tests.rank_threads import on_ranks

QUANTIZED = (*TOY_RUN, "--config=quantized", "--data.batch_size=8")  # 6 steps an epoch
EVERY_STEP = f"--monitor=[{', '.join(f'{{stat: {stat}, period: 1}}' for stat in STATISTICS)}]"


def run(*arguments: str) -> None:
    assert main.main(list(arguments)) == 0


def layers(lab: Lab, exp_id: int = 0, fold: int = 0) -> list[dict[str, Any]]:
    """The rows of layers.jsonl, which is strict JSON."""
    text = (lab.folder(exp_id).fold(fold) / "layers.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    return [json.loads(line) for line in text.splitlines()]


def board(lab: Lab, exp_id: int = 0) -> EventAccumulator:
    folder = lab.folder(exp_id).fold(0) / "layers" / lab.record(exp_id)["name"]
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    reader.Reload()
    return reader


def curves(lab: Lab, exp_id: int) -> dict[str, list[tuple[int, Any]]]:
    """All that the board shows of the layers, without the times."""
    reader = board(lab, exp_id)
    tags = reader.Tags()
    found: dict[str, list[tuple[int, Any]]] = {
        tag: sorted((event.step, event.value) for event in reader.Scalars(tag))
        for tag in tags["scalars"]
    }
    for tag in tags["histograms"]:
        events = reader.Histograms(tag)
        found[tag] = sorted((e.step, tuple(e.histogram_value.bucket)) for e in events)
    return found


def test_one_row_for_each_layer_and_time(lab: Lab) -> None:
    run(*QUANTIZED, "--monitor=[{stat: weight_norm, period: 5, start: 1}, {stat: sqnr, period: 3}]")
    rows = layers(lab)
    times = [(row["step"], row["epoch"], row["layer"]) for row in rows]
    both = [(step, epoch, name) for step, epoch in [(2, 0), (7, 1), (10, 1), (12, 1)]
            for name in ("conv", "linear")]  # fmt: skip
    assert times == both
    names = [set(row) - {"step", "epoch", "layer"} for row in rows]
    assert names[0] == {"weight_norm"}, "nothing is quantized before the second epoch"
    assert names[2] == {"weight_norm", "sqnr/weight"}
    assert names[4] == {"sqnr/weight"}
    saved = torch.load(lab.folder().fold(0) / "saves" / "last.ckpt", weights_only=True)["network"]
    expected = float(saved["conv.weight"].double().norm())
    assert rows[-2]["weight_norm"] == pytest.approx(expected, rel=1e-9)


def test_the_board_has_the_same_and_the_histograms(lab: Lab) -> None:
    run(*QUANTIZED, EVERY_STEP)
    scalars = {
        f"{name.split('/')[0]}/{row['layer']}{name.removeprefix(name.split('/')[0])}": value
        for row in layers(lab)
        if row["step"] == 12
        for name, value in row.items()
        if name not in ("step", "epoch", "layer")
    }
    shown = curves(lab, 0)
    assert len(scalars) > 40
    for tag, value in scalars.items():
        assert shown[tag][-1] == (12, pytest.approx(value, rel=1e-6))
    assert [step for step, _ in shown["weight_norm/conv"]] == list(range(1, 13))
    histograms = set(shown) - set(scalars)
    assert histograms == {
        *(f"{stat}/{layer}" for stat in ("activation_distribution", "gradient_distribution")
          for layer in ("conv", "linear")),
        "batch_norm_factors/norm/beta",
        "batch_norm_factors/norm/gamma",
    }  # fmt: skip
    assert sum(shown["activation_distribution/conv"][0][1]) == 8 * 4 * 4 * 4


def test_without_it_there_is_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a hook was set")

    for name in ("register_forward_hook", "register_forward_pre_hook"):
        monkeypatch.setattr(nn.Module, name, refuse)
    monkeypatch.setattr(torch.Tensor, "register_hook", refuse)
    monkeypatch.setattr(Monitoring, "__init__", refuse)
    run(*QUANTIZED)
    assert not (lab.folder().fold(0) / "layers.jsonl").exists()
    assert not (lab.folder().fold(0) / "layers").exists()


@pytest.mark.parametrize(
    "settings",
    [
        ("--training.ema.decay=0.9", "--training.clip_norm=1"),
        ("--training.accumulate=3", "--data.batch_size=3", "--data.limit=53"),
        ("--training.precision=float16", "--training.optimizer.class=Adam"),
        ("--training.precision=bfloat16", "--training.channels_last=true"),
        ("--training.precision=float64",),
        ("--quantize.rules.0.algorithm={kind: lsq, num_bits: 2}",),
    ],
    ids=lambda settings: settings[0],
)
def test_training_stays_what_it_is(lab: Lab, settings: tuple[str, ...]) -> None:
    run(*QUANTIZED, *settings)
    run(*QUANTIZED, *settings, EVERY_STEP)
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]
    assert lab.rows(0) == lab.rows(1)
    steps = {row["step"] for row in lab.rows(0) if "train/step_loss" in row}
    assert {row["step"] for row in layers(lab, 1)} == steps
    assert all(None not in row.values() for row in layers(lab, 1))


def test_batches_of_one_step_are_one(lab: Lab) -> None:
    """Accumulation and the partial last batch: the same statistics as one large batch."""
    plain = (*TOY_RUN, "--network.class=Plain", "--training.precision=float64", "--data.limit=53")
    stats = ("weight_norm", "update_ratio", "activation_distribution", "gradient_distribution")
    asked = f"--monitor=[{', '.join(f'{{stat: {stat}, period: 1}}' for stat in stats)}]"
    run(*plain, asked, "--data.batch_size=16")
    run(*plain, asked, "--data.batch_size=4", "--training.accumulate=4")
    for one, other in zip(layers(lab, 0), layers(lab, 1), strict=True):
        assert other.pop("layer") == one.pop("layer")
        assert other == pytest.approx(one, rel=1e-9, abs=1e-12)


def test_the_stored_config_measures_again(lab: Lab) -> None:
    run(*QUANTIZED, EVERY_STEP)
    run(*TOY_RUN, f"--config={lab.folder().config_file}")
    assert lab.record(0)["config"] == lab.record(1)["config"]
    assert layers(lab, 0) == layers(lab, 1)


def test_other_commands_do_not_mind(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run(*QUANTIZED, EVERY_STEP)
    capsys.readouterr()
    run("test", "--problem=Toy", "--exp_id=0", "--json")
    tested = json.loads(capsys.readouterr().out)["metrics"]
    assert tested["top1"] == lab.record()["metrics"]["test/top1"]
    run("list", "--problem=Toy", "--json")
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["status"] == "done"
    run("clean", "--problem=Toy", "--apply")
    assert layers(lab)


def test_each_fold_has_its_own(lab: Lab) -> None:
    run(*TOY_RUN, "--experiment.folds=2", "--data.valid_fraction=0",
        "--monitor=[{stat: weight_norm, period: 2}]")  # fmt: skip
    rows = [layers(lab, fold=fold) for fold in range(2)]
    assert [row["step"] for row in rows[0]] == [row["step"] for row in rows[1]]
    assert rows[0] != rows[1]


ENTRY = "--monitor=[{stat: weight_norm}, {%s}]"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("stat: weihgt_norm", "monitor.1.stat: 'weihgt_norm' given, weight_norm, update_ratio, "),
        ("stat: weihgt_norm", "did you mean 'weight_norm'? (command line)"),
        ("stat: sqnr, perod: 3", "monitor.1.perod: unknown key; did you mean 'period'?"),
        ("stat: sqnr, period: 0", "monitor.1.period: input should be greater than or equal to 1"),
        ("stat: sqnr, period: '3'", "monitor.1.period: input should be a valid integer (got '3')"),
        ("period: 3", "monitor.1.stat: missing (command line)"),
        ("stat: sqnr, select: 'conv &'", "monitor.1: select: 'conv &': the end at character 7"),
        ("stat: update_ratio, select: cnv", "monitor.1: select: 'cnv' matches no layer"),
        ("stat: update_ratio, select: cnv", "did you mean 'conv'?"),
        ("stat: sqnr", "monitor.1: stat: 'sqnr' has no effect, the network has no layer with"),
        ("stat: weight_norm, select: 'type:*'", "monitor.1: select: 'type:*' given for weight_nor"),
        ("stat: update_ratio, start: 6", "monitor.1.start: 6 given, but the run has 6 steps; less"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(
    lab: Lab, capsys: pytest.CaptureFixture[str], entry: str, message: str
) -> None:
    assert main.main([*TOY_RUN, ENTRY % entry]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert lab.everything_in_logs() == []


def test_a_network_without_batch_norms(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (*TOY_RUN, "--network.class=Plain", "--monitor=[{stat: batch_norm_factors}]")
    assert main.main([*arguments]) == 2
    assert "the network has no batch norm with factors (command line)" in capsys.readouterr().err


def test_it_is_part_of_the_assembly() -> None:
    assert build().monitor is None
    made = build("monitor=[{stat: weight_norm, period: 3}, {stat: update_ratio}]").monitor
    assert made is not None
    assert made.stats == ["weight_norm", "update_ratio"]
    assert [step for step in range(7) if made.is_due(step)] == [0, 3, 6]


def test_mistakes_are_found_where_they_stand() -> None:
    text = "network: {class: Net}\ntraining:\n  loss: {class: L1Loss}\n  optimizer: {class: SGD}\n"
    entries = "monitor:\n  - {stat: weight_norm}\n  - {stat: sqnr,\n     start: 7}\n"
    config, document = configured(text=text + entries)
    with pytest.raises(UsageError, match=r"monitor\.1: stat: 'sqnr' .* \(config.yaml:7\)"):
        create_monitor(nn.Linear(2, 2), config.monitor, document)
    with pytest.raises(UsageError, match=r"monitor\.1\.start: 7 given, .* \(config.yaml:8\)"):
        check_times(config.monitor, document, 7)
    check_times(config.monitor, document, 8)


RESUMED = (
    *QUANTIZED,
    EVERY_STEP,
    "--data.valid_fraction=0.5",
    "--checkpoint.every_steps=2",
    "--checkpoint.seconds_between=0",
    "--training.ema.decay=0.8",
)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    "killed_after", [(3, 6), pytest.param(range(8), marks=pytest.mark.long)], ids=["some", "all"]
)
def test_killed_at_a_step_nothing_is_lost_or_doubled(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, killed_after: Iterable[int]
) -> None:
    run(*RESUMED)
    expected, shown = layers(lab), curves(lab, 0)
    assert len(expected) == 8 * 3 - 3 + 3
    for exp_id, steps in enumerate(killed_after, start=1):
        kill(RESUMED, steps, monkeypatch, (Steps, "advance"))
        run("resume", "--problem=Toy", f"--exp_id={exp_id}")
        assert layers(lab, exp_id) == expected, f"killed after {steps} steps"
        assert curves(lab, exp_id) == shown, f"killed after {steps} steps"
        assert lab.record(exp_id)["weights_sha256"] == lab.record(0)["weights_sha256"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_killed_while_writing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of a layer is torn, and so is what the board has of it."""
    run(*RESUMED)
    kill(RESUMED, 5, monkeypatch, (Logbook, "write_layers"))
    fold = lab.folder(1).fold(0)
    events = list((fold / "layers").glob("*/events*"))
    assert events
    for path in (fold / "layers.jsonl", *events):
        with path.open("ab") as file:
            file.write(b'{"step": 6, "lay')
    run("resume", "--problem=Toy", "--exp_id=1")
    assert layers(lab, 1) == layers(lab, 0)
    assert curves(lab, 1) == curves(lab, 0)


@pytest.mark.parametrize("step", [4, 7])
def test_interrupted(lab: Lab, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    run(*RESUMED)
    interrupt(RESUMED, step, monkeypatch)
    assert lab.record(1)["status"] == "interrupted"
    run("resume", "--problem=Toy", "--exp_id=1")
    assert layers(lab, 1) == layers(lab, 0)
    assert curves(lab, 1) == curves(lab, 0)


def now(step: int, communicator: Communicator) -> Context:
    return Context(
        epoch=3,
        step=step,
        optimizer=None,
        communicator=communicator,
        generator=torch.Generator(),
    )


def test_all_ranks_take_part_and_one_writes(tmp_path: Path) -> None:
    config, _ = configured("monitor=[{stat: activation_distribution, period: 2}]")

    original = nn.Linear(2, 2)

    def measure(communicator: Communicator) -> bool:
        network = copy.deepcopy(original)
        monitor = Monitor(network)
        monitor.add(config.monitor[0])
        logbook = Logbook(tmp_path) if communicator.is_root else None
        monitoring = Monitoring(monitor, None, logbook)
        for step in range(3):
            monitoring.on_step_start(now(step, communicator))
            assert monitoring.is_measuring == (step != 1)
            if communicator.rank < 2:  # the third has no samples
                network(torch.full((3 + communicator.rank, 2), float(communicator.rank)))
            monitoring.on_step_end(now(step + 1, communicator))
            assert not monitoring.is_measuring
        if logbook is not None:
            logbook.close()
        return True

    assert on_ranks(3, measure) == [True] * 3
    rows = [json.loads(line) for line in (tmp_path / "layers.jsonl").read_text().splitlines()]
    assert [(row["step"], row["epoch"]) for row in rows] == [(1, 3), (3, 3)]
    outputs = original(torch.cat([torch.zeros(3, 2), torch.ones(4, 2)]))
    for row in rows:
        expected = float(outputs.detach().double().mean())
        assert row["activation_distribution/mean"] == pytest.approx(expected, rel=1e-6)


def test_it_says_what_it_does() -> None:
    monitor = Monitor(nn.Linear(2, 2))
    for stat in ("weight_norm", "update_ratio"):
        monitor.add(STATISTICS[stat]())
    monitoring = Monitoring(monitor, None, None)
    assert monitoring.describe(0) == "monitor: weight_norm, update_ratio"
    monitoring.on_step_end(now(0, Single()))  # a step that was not begun


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_training_is_measured_too(lab: Lab) -> None:
    """Steps that are measured run uncompiled, and setting hooks makes nothing compile anew."""
    asked = EVERY_STEP.replace("period: 1", "period: 3")
    plain = (*QUANTIZED, "--network.params.dropout=0")
    run(*plain, asked)
    graphs = []
    for arguments in ((), (asked,)):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        run(*plain, "--training.compile=true", *arguments)
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert graphs[0] == graphs[1] > 0
    for one, other in zip(layers(lab, 0), layers(lab, 2), strict=True):
        assert other.pop("layer") == one.pop("layer")
        assert other == pytest.approx(one, rel=0.02, abs=1e-4)


@pytest.mark.long
@needs_horovod
def test_two_processes_measure_what_one_does(lab: Lab) -> None:
    """Of the last step's samples, one process has none. torchrun takes a `--monitor` for the
    beginning of options of its own, unless `--` says where these end."""
    stats = [stat for stat in STATISTICS if stat != "batch_norm_factors"]
    asked = f"--monitor=[{', '.join(f'{{stat: {stat}, period: 1}}' for stat in stats)}]"
    plain = ("--network.class=Plain", "--training.precision=float64", "--data.limit=49")
    whole = (*QUANTIZED, *plain, "--data.valid_fraction=0", "--data.augment=false", asked)
    succeed(lab, *whole, "--data.batch_size=16")
    for launcher in ((*torchrun(2), "--"), horovodrun(2)):
        succeed(lab, *whole, "--data.batch_size=8", launcher=launcher)
    assert layers(lab, 1) == layers(lab, 2)
    assert len(layers(lab, 0)) == 2 * 2 * 4
    for one, other in zip(layers(lab, 0), layers(lab, 1), strict=True):
        assert other.pop("layer") == one.pop("layer")
        assert other == pytest.approx(one, rel=1e-6, abs=1e-12)
