"""What holds for every statistic, and with every algorithm."""

import copy
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.processes.communicator import Communicator
from quantlab.algorithms.layers import Target
from quantlab.monitor import STATISTICS, Histogram, Monitor, Reading, StatisticConfig
from tests.quantlab.algorithms.cases import CASES
from tests.quantlab.monitor.small import (
    RULES,
    Batch,
    Rules,
    Training,
    make_batch,
    make_network,
    numbers,
    trained,
)
from tests.rank_threads import on_ranks

stats = pytest.mark.parametrize("stat", STATISTICS)

OF_QUANTIZERS = {"sqnr", "clipping_share", "levels_used", "scale"}
OF_PASSES = {"activation_distribution", "gradient_distribution", *OF_QUANTIZERS} - {"scale"}


def config_of(stat: str) -> StatisticConfig:
    return STATISTICS[stat].model_validate({"stat": stat, "period": 1})


def state(training: Training) -> dict[str, Tensor]:
    optimizer = training.optimizer.state_dict()["state"]
    found = {f"{k}.{name}": t for k, entry in optimizer.items() for name, t in entry.items()}
    return {n: t.clone() for n, t in (*training.network.state_dict().items(), *found.items())}


def generators() -> tuple[object, ...]:
    words = np.random.get_state()[1]  # noqa: NPY002 - what user code may draw from
    return torch.get_rng_state().tolist(), random.getstate(), np.asarray(words).tolist()


def assert_unchanged(configs: list[StatisticConfig], rules: Rules) -> Training:
    plain = trained(rules=rules, num_steps=5)
    before = generators()
    watched = trained(*configs, rules=rules, num_steps=5)
    assert generators() == before
    expected, found = state(plain), state(watched)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    return watched


@stats
def test_training_stays_what_it_is(stat: str) -> None:
    assert_unchanged([config_of(stat)], RULES)


@pytest.mark.parametrize(("case", "on"), [(n, on) for n, c in CASES.items() for on in c.targets])
def test_with_every_algorithm(case: str, on: Target) -> None:
    """All statistics at once: training stays what it is, values are what they can be."""
    select = "conv" if "group" in case else "*"
    rules: list[tuple[str, str, dict[str, Any]]] = [(select, on, CASES[case].config_for(on))]
    watched = assert_unchanged([config_of(stat) for stat in STATISTICS], rules)
    found = numbers(watched.readings[-1])
    layer = "conv" if select == "conv" else "linear"
    assert 0.0 <= found[f"clipping_share/{layer}/{on}"] < 1.0
    used, available = (found[f"levels_used/{layer}/{on}/{w}"] for w in ("used", "available"))
    assert 1 <= used <= available == len(watched.quantizer(layer, on).spec.codes)
    assert 0.0 <= found[f"levels_used/{layer}/{on}/entropy"] <= math.log2(used) + 1e-9
    assert found[f"scale/{layer}/{on}/low"] < found[f"scale/{layer}/{on}/high"]
    assert not math.isnan(found[f"sqnr/{layer}/{on}"])


@stats
def test_it_has_something_to_say(stat: str) -> None:
    readings = trained(config_of(stat)).readings[-1]
    assert readings
    assert all(r.stat == stat for r in readings)
    tags = [r.tag for r in readings]
    assert len(tags) == len(set(tags))
    assert all(math.isfinite(value) for value in numbers(readings).values())


@stats
def test_equal_trainings_equal_readings(stat: str) -> None:
    assert trained(config_of(stat)).readings == trained(config_of(stat)).readings


@stats
def test_a_quantizer_that_is_off_has_no_statistics(stat: str) -> None:
    late = [(s, on, {"kind": "ste", "num_bits": 3, "start_epoch": 9}) for s, on, _ in RULES]
    found = numbers(trained(config_of(stat), rules=late).readings[-1])
    layers = {tag.split("/")[1] for tag in found}
    expected = {"norm"} if stat == "batch_norm_factors" else {"conv", "linear"}
    assert layers == (set() if stat in OF_QUANTIZERS else expected)
    assert not any("code" in tag for tag in found)


@stats
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(stat: str, dtype: torch.dtype) -> None:
    """Under autocast, with a scaled loss, values are those of float32 but for rounding."""
    found = trained(config_of(stat), num_steps=3, dtype=dtype, loss_scale=1024.0).readings[-1]
    expected = trained(config_of(stat), num_steps=3).readings[-1]
    assert [r.tag for r in found] == [r.tag for r in expected]
    assert numbers(found) == pytest.approx(numbers(expected), rel=0.2, abs=0.06)


def assert_close(found: list[Reading], expected: list[Reading]) -> None:
    """Numbers agree but for rounding; histograms too, as no number is that near to an edge."""
    assert [r.tag for r in found] == [r.tag for r in expected]
    assert numbers(found) == pytest.approx(numbers(expected), rel=1e-9, abs=1e-12)
    for one, other in zip(found, expected, strict=True):
        if isinstance(one.value, Histogram):
            assert one.value == other.value, one.tag


@stats
def test_accumulated_batches_are_one(stat: str) -> None:
    trainings = []
    for is_split in (False, True):
        network, controllers = make_network(dtype=torch.float64)
        monitor = Monitor(network)
        monitor.add(config_of(stat))
        trainings.append(Training(network=network, controllers=controllers, monitor=monitor))
        for step in range(4):
            x, targets, _ = make_batch(step, dtype=torch.float64)
            pieces: list[Batch] = [(x[:7], targets[:7], 7 / 12), (x[7:], targets[7:], 5 / 12)]
            trainings[-1].run(pieces if is_split else [(x, targets, 1.0)])
    assert_close(trainings[1].readings[-1], trainings[0].readings[-1])


def started(dtype: torch.dtype = torch.float32) -> Training:
    """A training in which all quantizers have started."""
    network, controllers = make_network(dtype=dtype)
    training = Training(network=network, controllers=controllers)
    for step in range(3):
        training.run([make_batch(step, dtype=dtype)])
    return training


@stats
def test_ranks_say_the_same_and_what_one_would_say(stat: str) -> None:
    """Three ranks, of which the last has no samples in the step: none waits for ever."""
    parts = [slice(0, 7), slice(7, 12), slice(12, 12)]
    prepared = started(torch.float64).network
    x, targets, _ = make_batch(9, dtype=torch.float64)

    def readings(communicator: Communicator, part: slice) -> list[Reading]:
        network = copy.deepcopy(prepared)
        monitor = Monitor(network)
        monitor.add(config_of(stat))
        training = Training(network=network, monitor=monitor, communicator=communicator)
        size = len(targets[part])
        return training.run([(x[part], targets[part], size / 12)] if size else [])

    ranks = on_ranks(3, lambda communicator: readings(communicator, parts[communicator.rank]))
    assert ranks[0] == ranks[1] == ranks[2]
    (alone,) = on_ranks(1, lambda communicator: readings(communicator, slice(0, 12)))
    assert_close(ranks[0], alone)


@stats
def test_nothing_passed_nothing_said(stat: str) -> None:
    monitor = Monitor(started().network)
    monitor.add(config_of(stat))
    monitor.start_step(0)
    assert bool(monitor.end_step()) != (stat in OF_PASSES)


@stats
def test_what_is_no_number_stops_nothing(stat: str) -> None:
    training = started()
    training.monitor = Monitor(training.network)
    training.monitor.add(config_of(stat))
    x, targets, share = make_batch(5)
    x[0] = math.nan
    for _ in range(2):
        training.run([(x, targets, share)])
    assert len(training.readings) == 5
