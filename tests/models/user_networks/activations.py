"""Activations of all kinds. Shapes: N images of 3 x 16 x 16."""

from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F


class Around(nn.Module):
    """Two convolutions, each with the activation behind it."""

    def __init__(self, activation=nn.ReLU):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.act2 = activation()
        self.fc = nn.Linear(8 * 25, 4)

    def forward(self, x):
        x = self.act1(self.conv1(x))
        x = self.act2(self.conv2(x))
        return self.fc(x.reshape(x.shape[0], -1))


MODULES = {
    "leaky": partial(nn.LeakyReLU, 0.1, inplace=True),
    "prelu": nn.PReLU,
    "prelu of channels": partial(nn.PReLU, num_parameters=8),
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "gelu by tanh": partial(nn.GELU, approximate="tanh"),
    "silu": partial(nn.SiLU, inplace=True),
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "hardtanh": partial(nn.Hardtanh, -2.0, 2.0),
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "rrelu": nn.RReLU,
    "softshrink": partial(nn.Softshrink, 0.1),
    "softmax of channels": partial(nn.Softmax, dim=1),
}


class Concatenated(nn.Module):
    """Both signs: CReLU."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2)
        self.conv2 = nn.Conv2d(16, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.conv1(x)
        x = torch.cat((F.relu(x), F.relu(-x)), 1)
        x = self.conv2(x)
        x = torch.relu(torch.cat([x, -x], dim=1))
        return self.fc(x[:, :8].mean((2, 3)) - x[:, 8:].mean((2, 3)))


class Maxout(nn.Module):
    """The larger one of two convolutions."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        a, b = torch.split(self.conv1(x), 8, dim=1)
        return self.fc(torch.max(a, b).mean((2, 3)))


class Gated(nn.Module):
    """A gated linear unit, by hand."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2)
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        a, b = self.conv1(x).chunk(2, 1)
        x = a * torch.sigmoid(b)
        return self.fc(self.conv2(x).clamp(min=0).mean((2, 3)))


def glu():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2), nn.GLU(dim=1), nn.Flatten(), nn.Linear(8 * 49, 4)
    )


def swish(x, beta=1.0):
    return x * torch.sigmoid(beta * x)


def hard_swish(x):
    return x * F.relu6(x + 3, inplace=True) / 6


class Functions(nn.Module):
    """Activations of functions, defined by hand; clamps."""

    def __init__(self, act=swish):
        super().__init__()
        self.act = act
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2)
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.conv3 = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.act(self.conv1(x))
        x = hard_swish(self.conv2(x))
        x = torch.clamp(self.conv3(x), 0.0, 4.0)
        return self.fc(F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0])


class Periodic(nn.Module):
    """SIREN: the sine."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.fc = nn.Linear(8 * 49, 4)

    def forward(self, x):
        return self.fc(torch.sin(30 * self.conv(x)).flatten(1))


class Squared(nn.Module):
    """Squares and their root."""

    def __init__(self, act=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.conv(x)
        return self.fc((x * x).mean((2, 3)).sqrt())


class Attentive(nn.Module):
    """A softmax over places weighs them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.score = nn.Conv2d(8, 1, 1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        n, _c, h, w = x.shape
        attention = torch.softmax(self.score(x).view(n, 1, -1), dim=2).view(n, 1, h, w)
        return self.fc((x * attention).sum(dim=(2, 3)))
