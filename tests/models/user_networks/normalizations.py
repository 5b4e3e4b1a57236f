"""Normalizations, in the usual places and in others. Shapes: N images of 3 x 16 x 16."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def head(channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4))


def batch_norm_first():
    return nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), *head(8))


def batch_norm_behind_relu():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(8), *head(8),
    )  # fmt: skip


def batch_norm_behind_pooling():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.Dropout(0.25),
        nn.Conv2d(8, 8, 3), nn.ELU(), nn.AvgPool2d(2), nn.BatchNorm2d(8), nn.Flatten(),
        nn.Linear(8 * 4, 4),
    )  # fmt: skip


def two_batch_norms():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.BatchNorm2d(8, affine=False), nn.ReLU(), *head(8)
    )


def batch_norm_last():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=0.9, eps=1e-3), nn.ReLU(), *head(8),
        nn.BatchNorm1d(4),
    )  # fmt: skip


def batch_norm_of_the_batch():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False), nn.ReLU(), *head(8)
    )


class ConvNeXt(nn.Module):
    """A layer norm of channels, GELU, a learned scale."""

    def __init__(self, dim=8):
        super().__init__()
        self.stem = nn.Conv2d(3, dim, 4, stride=4)
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(0.1 * torch.ones(dim))
        self.head = nn.Linear(dim, 4)

    def forward(self, x):
        x = self.stem(x)
        input = x
        x = self.dwconv(x)
        x = x.permute(0, 2, 3, 1)
        x = self.norm(x)
        x = self.pwconv1(x)
        x = self.act(x)
        x = self.pwconv2(x)
        x = self.gamma * x
        x = x.permute(0, 3, 1, 2)
        x = input + x
        return self.head(x.mean([-2, -1]))


class ConvNeXtWithBatchNorm(ConvNeXt):
    """The same with the other normalization, before the axes move."""

    def __init__(self, dim=8):
        super().__init__(dim)
        self.dwconv = nn.Sequential(self.dwconv, nn.BatchNorm2d(dim))
        self.norm = nn.Identity()


def group_norm():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), *head(8))


def instance_norm():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8), nn.ReLU(), *head(8))


def local_response_norm():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.LocalResponseNorm(2), *head(8))


class Embedder(nn.Module):
    """A vector of length 1."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.fc = nn.Linear(8 * 49, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return F.normalize(self.fc(x.flatten(1)), p=2, dim=1)


class ByHand(nn.Module):
    """The mean and deviation of each sample's pixels, computed in forward."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = head(8)

    def forward(self, x):
        x = (x - x.mean(dim=(1, 2, 3), keepdim=True)) / (x.std() + 1e-5)
        return self.head(F.relu(self.conv(x)))
