# %% [markdown]
# # Digits in few bytes
#
# A network for handwritten digits is trained, compressed to several budgets of flash, and its C is
# compared with the network's integers. It runs in the checkout as it is,
# `python -m docs.notebooks.compress`; `jupytext --to notebook docs/notebooks/compress.py` makes
# a notebook of it.

# %%
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from problems.MNIST.data import load
from quantlab import compress
from quantlab.compression import Compressed, Data, Recipe
from quantlab.conversion.samples import codes_of
from quantlab.deploy.c.host import HostEngine
from quantlab.errors import DataError
from quantlab.integer.verify import compare

# %% [markdown]
# The parameters. Flash is measured with the compiler of a Cortex-M3, `c-m3`; `host` takes the
# compiler of this machine. Bytes are those of all objects of the model, with its code.

# %% tags=["parameters"]
NUM_TRAIN, NUM_VALID, NUM_TEST = 6_000, 1_000, 2_000
EPOCHS, COMPRESSION_EPOCHS = 4, 15
BUDGETS = (24_000, 12_000, 8_000, 6_000)
BOARD = "c-m3"
FOLDER = Path("build/digits")

# %% [markdown]
# ## Data
#
# The digits of MNIST, if they are there (`python main.py data --problem=MNIST`); otherwise patterns
# made up from a seed. Test digits decide nothing.

# %%
torch.manual_seed(0)
try:
    digits = load(Path("problems/MNIST/data"), "folder")
except DataError as error:
    print(error)
    digits = load(Path("problems/MNIST/data"), "synthetic")


def images(inputs: Tensor) -> Tensor:
    """Return pixels from 0 to 1, of 14 x 14: the means of 2 x 2."""
    return nn.functional.avg_pool2d(inputs.float() / 255, 2)


train = TensorDataset(images(digits.train.inputs[:NUM_TRAIN]), digits.train.targets[:NUM_TRAIN])
valid = TensorDataset(images(digits.train.inputs[-NUM_VALID:]), digits.train.targets[-NUM_VALID:])
test = TensorDataset(images(digits.test.inputs[:NUM_TEST]), digits.test.targets[:NUM_TEST])
data = Data(
    train=DataLoader(train, batch_size=64, shuffle=True),
    valid=DataLoader(valid, batch_size=256),
    test=DataLoader(test, batch_size=256),
)

# %% [markdown]
# ## A network
#
# Its weights take 24 KB at 8 bits; with its code the C takes 30 KB of flash.

# %%
network = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(288, 64), nn.ReLU(), nn.Linear(64, 10),
)  # fmt: skip
optimizer = torch.optim.Adam(network.parameters(), 2e-3)
for epoch in range(EPOCHS):
    network.train()
    for inputs, targets in data.train:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs), targets)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

# %% [markdown]
# ## Compression
#
# Each budget begins from the same network. A folder keeps the C, the report and the state: called
# again, a compression that was killed goes on.

# %%
results: dict[int, Compressed] = {}
for budget in BUDGETS:
    results[budget] = compress(
        network,
        data,
        budget=budget,
        recipe=Recipe(epochs=COMPRESSION_EPOCHS),
        folder=FOLDER / str(budget),
        board=BOARD,
    )
    report = results[budget].report
    print(
        f"{report.flash:,} bytes of {budget:,}: {report.accuracy:.2f} % on validation digits, "
        f"{report.test_accuracy:.2f} % on test digits, {report.dense_accuracy:.2f} % before"
    )

# %% [markdown]
# The report of the smallest: what became of each layer, and what the flash consists of.

# %%
smallest = results[min(BUDGETS)]
print(smallest.report)

# %% [markdown]
# ## Accuracy over bytes
#
# A line for each budget: where the ramp was after its epochs, and at its end the C.

# %%
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 360, 60, 320


def curve_of(result: Compressed) -> list[tuple[int, float]]:
    """Return bytes and accuracies, the C last."""
    points = [(point.flash, point.accuracy) for point in result.report.curve]
    return [*points, (result.report.flash, result.report.accuracy)]


def drawing(curves: list[list[tuple[int, float]]]) -> str:
    """Return the curves as SVG."""
    most = max(flash for curve in curves for flash, _ in curve)
    least = int(min(accuracy for curve in curves for _, accuracy in curve)) - 1

    def place(flash: int, accuracy: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - 20) * flash / most
        return x, BOTTOM - (BOTTOM - 20) * (accuracy - least) / (100 - least)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{LEFT},20 V{BOTTOM} H{WIDTH - 20}" stroke="black" fill="none"/>',
        f'<text x="{LEFT + 8}" y="14">accuracy on validation digits</text>',
        f'<text x="{WIDTH // 2 - 40}" y="{BOTTOM + 32}">bytes of flash</text>',
    ]
    for part in range(5):
        flash, accuracy = most * part // 4, least + (100 - least) * part / 4
        x, y = place(flash, accuracy)
        parts.append(f'<text x="{x - 20:.1f}" y="{BOTTOM + 16}">{flash:,}</text>')
        parts.append(f'<text x="8" y="{y + 4:.1f}">{accuracy:.1f} %</text>')
    for number, curve in enumerate(curves):
        color = f"hsl({number * 360 // len(curves)} 70% 40%)"
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve))
        x, y = place(*curve[-1])
        parts.append(f'<polyline points="{line}" stroke="{color}" fill="none"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>')
        parts.append(f'<text x="{x - 12:.1f}" y="{y + 18:.1f}">{curve[-1][0]:,}</text>')
    return "\n".join([*parts, "</svg>\n"])


picture = FOLDER / "curves.svg"
picture.write_text(drawing([curve_of(result) for result in results.values()]))
print(picture)

# %% [markdown]
# ## Proof
#
# The C in the folder of the smallest, which is what a device gets, is compiled for this machine. Of
# each tensor of some test digits not one element differs from the integers of the program. How a
# device calls it, docs/c.md says.

# %%
written = FOLDER / str(min(BUDGETS)) / "c"
engines = {"c": HostEngine(smallest.program, written)}
codes = codes_of(test.tensors[0][:8], smallest.spec)
comparisons = compare(smallest.program, engines, [{"input": codes}])
for comparison in comparisons:
    print(f"{comparison.engine}: {comparison.num_mismatches} of {comparison.num_values:,} differ")
