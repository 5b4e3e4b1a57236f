"""Ways to write networks down, and to return results. Shapes: N images of 3 x 16 x 16."""

import copy
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint


class Lists(nn.Module):
    """ModuleList and ModuleDict in loops."""

    def __init__(self, widths=(8, 8, 12), activation="relu"):
        super().__init__()
        self.activations = nn.ModuleDict({"lrelu": nn.LeakyReLU(), "relu": nn.ReLU()})
        self.which = activation
        self.convs = nn.ModuleList()
        self.bns = nn.ModuleList()
        channels = 3
        for width in widths:
            self.convs.append(nn.Conv2d(channels, width, 3))
            self.bns.append(nn.BatchNorm2d(width))
            channels = width
        self.out = nn.Linear(channels, 4)

    def forward(self, x):
        for i, (conv, bn) in enumerate(zip(self.convs, self.bns, strict=True)):
            x = self.activations[self.which](bn(conv(x)))
            if i == 0:
                x = F.max_pool2d(x, 2)
        return self.out(x.mean([2, 3]))


class Numbered(nn.Module):
    """Attributes by number: `getattr(self, f'conv{i}')`."""

    def __init__(self, depth=3):
        super().__init__()
        self.depth = depth
        for i in range(depth):
            setattr(self, f"conv{i}", nn.Conv2d(3 if i == 0 else 8, 8, 3))
        self.fc = nn.Linear(8 * 100, 4)

    def forward(self, x):
        for i in range(self.depth):
            x = getattr(self, f"conv{i}")(x).relu()
        return self.fc(x.view(x.size()[0], -1))


class Children(nn.Module):
    """`for name, module in self.named_children()`, with a case by name."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.tanh = nn.Hardtanh()
        self.fc = nn.Linear(8 * 25, 4)

    def forward(self, x):
        for name, module in self.named_children():
            if name == "fc":
                x = x.flatten(start_dim=1)
            x = module(x)
        return x


class Base(nn.Module):
    """A network that others are made of."""

    def __init__(self, in_channels=3, num_classes=4, width=8):
        super().__init__()
        self.features = self.make_features(in_channels, width)
        self.head = nn.Linear(width, num_classes)

    def make_features(self, in_channels, width):
        return nn.Sequential(nn.Conv2d(in_channels, width, 3), nn.ReLU())

    def extract(self, x):
        return self.features(x).mean((2, 3))

    def forward(self, x):
        return self.head(self.extract(x))


class Deeper(Base):
    """A subclass with other features and more of a head."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = nn.Linear(8, 8)

    def make_features(self, in_channels, width):
        return nn.Sequential(
            super().make_features(in_channels, width), nn.Conv2d(width, width, 3), nn.ReLU()
        )

    def extract(self, x, scale=2.0):
        return F.relu(self.hidden(super().extract(x) * scale))


class Clones(nn.Module):
    """Copies of one block."""

    def __init__(self, n=2):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        block = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.blocks = nn.Sequential(*[copy.deepcopy(block) for _ in range(n)])
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(F.relu(self.blocks(self.stem(x))).mean((2, 3)))


class Recurrent(nn.Module):
    """One convolution again and again: a layer that is called three times."""

    def __init__(self, steps=3):
        super().__init__()
        self.steps = steps
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.relu(self.stem(x))
        for _ in range(self.steps):
            x = self.relu(self.bn(self.conv(x)))
        return self.fc(x.mean((2, 3)))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv2.weight = self.conv1.weight
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc(x.mean((2, 3)))


class Transposed(nn.Module):
    """An autoencoder whose decoder reads the encoder's weight."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(768, 12)
        self.bias = nn.Parameter(torch.zeros(768))
        self.fc = nn.Linear(768, 4)

    def forward(self, x):
        code = F.relu(self.encoder(x.flatten(1)))
        back = F.linear(code, self.encoder.weight.t(), self.bias)
        return self.fc(back)


class Functional(nn.Module):
    """Parameters without layers."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.1)
        self.bias = nn.Parameter(torch.zeros(8))
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(F.conv2d(x, self.weight, self.bias, padding=1))
        return self.fc(x.mean((2, 3)))


class Unused(nn.Module):
    """A layer that was left behind."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.old_head = nn.Linear(64, 4)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean((2, 3)))


class Checked(nn.Module):
    """Asserts, a print, hooks of one's own, a default argument."""

    def __init__(self, verbose=False):
        super().__init__()
        self.verbose = verbose
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x, return_features=False):
        assert x.dim() == 4, "images expected"
        assert x.shape[1] == 3, f"expected 3 channels, got {x.shape[1]}"
        if x.size(2) < 4:
            raise ValueError("too small")
        features = F.relu(self.conv(x)).mean((2, 3))
        if self.verbose:
            print(features.shape)  # noqa: T201
        if return_features:
            return features
        return self.fc(features)


class Checkpointed(nn.Module):
    """Activations are computed again in the backward pass."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = checkpoint(self.block, x, use_reentrant=False) if self.training else self.block(x)
        return self.fc(x.mean((2, 3)))


def lazy():
    """Sizes are found at the first call."""
    net = nn.Sequential(
        nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4)
    )
    net(torch.zeros(2, 3, 16, 16))
    return net


def data_parallel():
    """Wrapped for several devices."""
    return nn.DataParallel(Lists())


class Auxiliary(nn.Module):
    """A second head, in training only."""

    def __init__(self):
        super().__init__()
        self.low = nn.Conv2d(3, 8, 3, stride=2)
        self.aux = nn.Linear(8, 4)
        self.high = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.low(x))
        aux = self.aux(x.mean((2, 3))) if self.training else None
        x = F.relu(self.high(x))
        out = self.fc(x.mean((2, 3)))
        if self.training:
            return out, aux
        return out


class Outputs(NamedTuple):
    logits: torch.Tensor
    aux: torch.Tensor


class TwoOutputs(nn.Module):
    """Features beside the scores."""

    def __init__(self, kind="tuple"):
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.fc = nn.Linear(8, 4)
        self.fc2 = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.conv(x)).mean((2, 3))
        a, b = self.fc(x), self.fc2(x)
        if self.kind == "dict":
            return {"out": a, "aux": b}
        if self.kind == "list":
            return [a, b]
        return Outputs(a, b) if self.kind == "named" else (a, b)


class OneOfADict(nn.Module):
    """A dictionary of one."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return {"logits": self.fc(F.relu(self.conv(x)).mean((2, 3)))}


class Conditional(nn.Module):
    """A branch on the data."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.conv2 = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.conv(x) if x.mean() > 0 else self.conv2(x)
        return self.fc(F.relu(x).mean((2, 3)))


class RandomDepth(nn.Module):
    """A random number of steps, of PyTorch's tutorial on control flow."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.middle = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        h = F.relu(self.conv(x)).mean((2, 3))
        for _ in range(int(torch.randint(0, 3, (1,)).item())):
            h = self.middle(h).clamp(min=0)
        return self.fc(h)


class TwoImages(nn.Module):
    """A second input with a default."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x, mask=None):
        x = F.relu(self.conv(x))
        if mask is not None:
            x = x * mask
        return self.fc(x.mean((2, 3)))
