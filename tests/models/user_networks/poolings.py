"""Poolings of all kinds. Shapes: N images of 3 x 16 x 16."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Pooled(nn.Module):
    """A convolution, a pool, a convolution and the scores, whatever size is left."""

    def __init__(self, pool=None, places=1):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.pool = pool or nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.AdaptiveAvgPool2d(places)
        self.fc = nn.Linear(8 * places * places, 4)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = F.relu(self.conv2(x))
        x = self.last(x)
        x = x.view(x.shape[0], x.shape[1] * x.shape[2] * x.shape[3])
        return self.fc(x)


def ceil_mode():
    return Pooled(nn.MaxPool2d(3, stride=2, ceil_mode=True), places=2)


def ceil_mode_average():
    return Pooled(nn.AvgPool2d(3, stride=2, ceil_mode=True, count_include_pad=False))


def overlapping():
    return Pooled(nn.MaxPool2d(3, 2, padding=1), places=7)


def apart():
    return Pooled(nn.MaxPool2d((2, 3), stride=(3, 4)))


def dilated():
    return Pooled(nn.MaxPool2d(2, stride=1, dilation=2))


def average_with_borders():
    return Pooled(nn.AvgPool2d(3, stride=2, padding=1), places=2)


def average_by_a_divisor():
    return Pooled(nn.AvgPool2d(2, divisor_override=3))


def norm_pool():
    return Pooled(nn.LPPool2d(2, kernel_size=2))


class Global(nn.Module):
    """The largest and the mean of all places, concatenated."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        avg = F.avg_pool2d(x, x.size()[2:])
        largest = F.max_pool2d(x, kernel_size=x.size()[2:])
        return self.fc(torch.cat([avg, largest], dim=1).squeeze(3).squeeze(2))


class GlobalMax(nn.Module):
    """`amax` over the places."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).amax(dim=(2, 3)))


class SpatialPyramid(nn.Module):
    """Pools of 1, 2 and 4 places."""

    def __init__(self, levels=(1, 2, 4)):
        super().__init__()
        self.levels = levels
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4 * (1 + 4 + 16), 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        pooled = []
        for level in self.levels:
            pooled.append(F.adaptive_max_pool2d(x, level).view(x.size(0), -1))
        return self.fc(torch.cat(pooled, dim=1))


class Unpooled(nn.Module):
    """The places of the largest, to go back."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x, places = self.pool(F.relu(self.conv(x)))
        return self.last(self.unpool(x, places))
