"""Constants in the forward pass. Shapes: N images of 3 x 16 x 16, here of pixels from 0 to 255."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Scaled(nn.Module):
    """Pixels are divided in forward."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = x / 255.0
        x = F.relu(self.conv(x))
        return self.fc(x.mean((2, 3)))


class ScaledAndPadded(nn.Module):
    """To [-1, 1], then a convolution with a border."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = x.float() / 127.5 - 1.0
        x = F.relu(self.conv(x))
        return self.fc(x.mean((2, 3)))


class Normalized(nn.Module):
    """Mean and deviation are buffers, as of the data set."""

    def __init__(self, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = (x / 255 - self.mean) / self.std
        x = F.relu(self.conv(x))
        return self.fc(x.mean((2, 3)))


class Inverted(nn.Module):
    """Dark for light; `x * 2`."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = 1 - x.div(255)
        x = F.relu(self.conv(x)) * 2
        x = 1 - torch.sigmoid(self.conv2(x))
        return self.fc(x.mean((2, 3)))


class Learned(nn.Module):
    """A learned scale and shift of each channel, and one of all."""

    def __init__(self, dim=8):
        super().__init__()
        self.conv = nn.Conv2d(3, dim, 3)
        self.alpha = nn.Parameter(torch.ones(1, dim, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, dim, 1, 1))
        self.temperature = nn.Parameter(torch.ones([]))
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)
        self.fc = nn.Linear(dim, 4)

    def forward(self, x):
        x = F.relu(self.alpha * self.conv(x / 255 - 0.5) + self.beta)
        x = x + F.relu(self.conv2(x))
        return self.fc(x.mean((2, 3))) / self.temperature


class Coordinates(nn.Module):
    """Two more channels with each pixel's place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3 + 2, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        n, _, h, w = x.shape
        ys = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(n, 1, h, w)
        xs = torch.linspace(-1, 1, w).view(1, 1, 1, w).expand(n, 1, h, w)
        x = torch.cat([x / 255, ys, xs], dim=1)
        return self.fc(F.relu(self.conv(x)).mean((2, 3)))


class InPlace(nn.Module):
    """Everything in place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = x.clone()
        x /= 255
        x -= 0.5
        x = self.conv(x).relu_()
        y = self.conv2(x)
        y += x
        y = F.relu_(y)
        y = self.conv3(y)
        y *= 0.5
        y.clamp_(max=3)
        return self.fc(y.mean((2, 3)))


class Noise(nn.Module):
    """Noise in training."""

    def __init__(self, sigma=0.1):
        super().__init__()
        self.sigma = sigma
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = x / 255
        if self.training and self.sigma != 0:
            x = x + torch.randn_like(x) * self.sigma
        return self.fc(F.relu(self.conv(x)).mean((2, 3)))
