"""Metrics against NumPy in float64, however the samples are cut into batches and ranks."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tests.toy.tiles as preprocess
from experiments.data.loader import Loader
from experiments.data.plan import Plan
from experiments.processes.communicator import Communicator, Single
from experiments.protocols import InMemory
from experiments.training.evaluation import evaluate, merge
from experiments.training.precision import Precision
from problems.images.meter import ClassificationMeter
from quantlab.errors import UsageError
from tests.rank_threads import on_ranks
from tests.toy.meters import Sums

CPU = torch.device("cpu")
CLASSES = ("a", "b", "c")
NUM_SAMPLES = 11


def dataset() -> InMemory:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randint(0, 9, (NUM_SAMPLES, 4), generator=generator, dtype=torch.uint8)
    targets = torch.randint(0, len(CLASSES), (NUM_SAMPLES,), generator=generator)
    return InMemory(inputs=inputs, targets=targets, classes=CLASSES)


def make_network() -> nn.Module:
    """Batch norm and dropout, which mind the mode."""
    network = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, len(CLASSES)))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return network.double()


def make_loader(
    batch_size: int, communicator: Communicator, indices: Tensor, dtype: torch.dtype
) -> Loader:
    plan = Plan(
        num_samples=len(indices),
        batch_size=batch_size,
        num_ranks=communicator.size,
        rank=communicator.rank,
    )
    return Loader(
        dataset(),
        indices,
        preprocess=preprocess,
        plan=plan,
        seed=0,
        device=CPU,
        workers=0,
        dtype=dtype,
        is_augmented=False,
    )


def smallest_first(outputs: Tensor) -> Tensor:
    """A postprocessing that turns the prediction around, but must leave the loss alone."""
    return -outputs


Found = tuple[dict[str, float], Tensor]


def run(batch_size: int, communicator: Communicator, num_samples: int = NUM_SAMPLES) -> Found:
    """Return the metrics over the first samples and the meter's confusion."""
    meter = ClassificationMeter(CLASSES)
    meter.update(torch.eye(3), torch.arange(3), torch.tensor(5.0))  # of someone else
    metrics = evaluate(
        make_network(),
        nn.CrossEntropyLoss(),
        make_loader(batch_size, communicator, torch.arange(num_samples), torch.float64),
        meter,
        smallest_first,
        Precision("float64", CPU),
        communicator,
    )
    return metrics, meter.confusion()


def expected(num_samples: int = NUM_SAMPLES) -> tuple[dict[str, float], list[list[int]]]:
    state = {name: tensor.numpy() for name, tensor in make_network().state_dict().items()}
    confusion = [[0] * len(CLASSES) for _ in CLASSES]
    losses = []
    for index in range(num_samples):
        x = dataset().inputs[index].numpy().astype(np.float64)
        target = int(dataset().targets[index])
        normal = (x - state["0.running_mean"]) / np.sqrt(state["0.running_var"] + 1e-5)
        hidden = normal * state["0.weight"] + state["0.bias"]
        outputs = state["2.weight"] @ hidden + state["2.bias"]
        losses.append(np.log(np.exp(outputs).sum()) - outputs[target])
        confusion[target][int(outputs.argmin())] += 1
    num_right = sum(confusion[i][i] for i in range(len(CLASSES)))
    return {"top1": 100 * num_right / num_samples, "loss": float(np.mean(losses))}, confusion


@pytest.mark.parametrize("batch_size", [1, 3, 10, NUM_SAMPLES, 64])
@pytest.mark.parametrize("num_samples", [1, 2, NUM_SAMPLES])
def test_metrics_do_not_depend_on_the_batches(batch_size: int, num_samples: int) -> None:
    metrics, confusion = run(batch_size, Single(), num_samples)
    expected_metrics, expected_confusion = expected(num_samples)
    assert metrics == pytest.approx(expected_metrics, rel=1e-12)
    assert confusion.tolist() == expected_confusion


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("num_ranks", [2, 3, NUM_SAMPLES + 2])
def test_metrics_do_not_depend_on_the_ranks(batch_size: int, num_ranks: int) -> None:
    found = on_ranks(num_ranks, lambda communicator: run(batch_size, communicator))
    expected_metrics, expected_confusion = expected()
    for metrics, confusion in found:
        assert metrics == found[0][0]
        assert metrics == pytest.approx(expected_metrics, rel=1e-12)
        assert confusion.tolist() == expected_confusion


def test_ranks_without_samples_call_as_often_as_the_others() -> None:
    num_ranks, batch_size = 4, 2  # one step of 8 samples, one of 3: a rank has none there

    def num_calls(communicator: Communicator) -> int:
        calls: list[None] = []
        evaluate(
            make_network(),
            nn.CrossEntropyLoss(),
            make_loader(batch_size, communicator, torch.arange(NUM_SAMPLES), torch.float64),
            ClassificationMeter(CLASSES),
            smallest_first,
            Precision("float64", CPU),
            communicator,
            on_batch=lambda: calls.append(None),
        )
        return len(calls)

    assert on_ranks(num_ranks, num_calls) == [2] * num_ranks


def test_without_samples_there_are_no_metrics() -> None:
    with pytest.raises(UsageError, match="no sample was seen"):
        run(4, Single(), num_samples=0)


def test_the_network_is_left_in_evaluation_mode_and_as_it_was() -> None:
    network = make_network().train()
    loader = make_loader(4, Single(), torch.arange(NUM_SAMPLES), torch.float64)
    meter, precision = ClassificationMeter(CLASSES), Precision("float64", CPU)
    loss = nn.CrossEntropyLoss()
    evaluate(network, loss, loader, meter, smallest_first, precision, Single())
    assert not any(module.training for module in network.modules())
    untouched = make_network().state_dict()
    assert all(torch.equal(t, untouched[name]) for name, t in network.state_dict().items())


def test_network_and_loss_run_in_the_precision_that_is_asked_for() -> None:
    seen = []

    def postprocess(outputs: Tensor) -> Tensor:
        seen.append((outputs.dtype, outputs.requires_grad))
        return outputs

    loader = make_loader(NUM_SAMPLES, Single(), torch.arange(NUM_SAMPLES), torch.float32)
    meter, precision = ClassificationMeter(CLASSES), Precision("bfloat16", CPU)
    network, loss = make_network().float(), nn.CrossEntropyLoss()
    evaluate(network, loss, loader, meter, postprocess, precision, Single())
    assert seen == [(torch.bfloat16, False)]


def test_merged_counts_are_exact_and_keep_their_form() -> None:
    num_ranks, large = 4, 2**51  # four of them are just within 2^53

    def merged(communicator: Communicator) -> dict[str, Tensor]:
        meter = Sums()
        counts = torch.tensor([[large - 1 - communicator.rank], [communicator.rank]])
        meter.load_state({"sum": torch.tensor(0.25).double(), "count": counts})
        merge(meter, communicator)
        return meter.state()

    for state in on_ranks(num_ranks, merged):
        assert state["count"].dtype == torch.int64
        assert state["count"].tolist() == [[4 * large - 4 - 6], [6]]
        assert state["sum"].dtype == torch.float64
        assert state["sum"].shape == ()
        assert float(state["sum"]) == 1.0


def test_alone_even_larger_counts_stay() -> None:
    meter = Sums()
    meter.load_state({"sum": torch.tensor(0.5), "count": torch.tensor([[2**62 + 1], [0]])})
    merge(meter, Single())
    assert meter.state()["count"].tolist() == [[2**62 + 1], [0]]
