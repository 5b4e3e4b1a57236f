"""Rearrangements. Shapes: N images of 3 x 16 x 16."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SpaceToDepth(nn.Module):
    """Four images of every other pixel, as channels (YOLO's focus)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.cat(
            [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1
        )
        return self.fc(F.relu(self.conv(x)).mean((2, 3)))


class Mixer(nn.Module):
    """Linear layers over patches and over channels; no normalization."""

    def __init__(self, dim=8, patch=4):
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(3 * patch * patch, dim)
        self.tokens = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
        self.channels = nn.Sequential(nn.Linear(dim, 16), nn.ReLU(), nn.Linear(16, dim))
        self.head = nn.Linear(dim, 4)

    def forward(self, x):
        n, c, h, w = x.shape
        p = self.patch
        x = x.view(n, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5)
        x = self.embed(x.reshape(n, (h // p) * (w // p), c * p * p))
        x = x + self.tokens(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(x)
        return self.head(x.mean(dim=1))


class ByConvolution(nn.Module):
    """Patches by a convolution, `flatten(2).transpose(1, 2)`, embeddings of places."""

    def __init__(self, dim=8):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=4, stride=4)
        self.pos_embed = nn.Parameter(torch.randn(1, 16, dim) * 0.02)
        self.fc1 = nn.Linear(dim, 16)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(16, dim)
        self.head = nn.Linear(dim, 4)

    def forward(self, x):
        x = self.proj(x).flatten(2).transpose(1, 2)
        x = x + self.pos_embed
        x = x + self.fc2(self.act(self.fc1(x)))
        return self.head(x.mean(1))


class Cropped(nn.Module):
    """The middle and the whole, sliced by numbers of the shape."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(11, 8, 1)
        self.fc = nn.Linear(8, 4)

    def crop(self, x, like):
        top = (x.size(2) - like.size(2)) // 2
        left = (x.size(3) - like.size(3)) // 2
        return x[:, :, top : top + like.size(2), left : left + like.size(3)]

    def forward(self, x):
        y = F.relu(self.conv2(F.relu(self.conv1(x))))
        y = torch.cat((y, self.crop(x, y)), dim=1)
        return self.fc(F.relu(self.conv3(y)).mean((-1, -2)))


class Unflattened(nn.Module):
    """A bottleneck of a vector, and back to an image."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            nn.Linear(6, 64), nn.ReLU(), nn.Unflatten(1, (4, 4, 4)), nn.Conv2d(4, 8, 3, padding=1),
            nn.ReLU(),
        )  # fmt: skip
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(self.decoder(self.encoder(x)).mean((2, 3)))


class SuperResolution(nn.Module):
    """Pixels out of channels, then a mean of each quarter."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        x = self.shuffle(self.conv2(F.leaky_relu(self.conv1(x))))
        x = F.leaky_relu(x, negative_slope=0.2)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 2), start_dim=1))


class Rows(nn.Module):
    """Columns as samples of a sequence: a loop over the width."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, stride=2)
        self.row = nn.Linear(4 * 8, 6)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        steps = [F.relu(self.row(x[:, :, :, i].reshape(x.size(0), -1))) for i in range(x.size(3))]
        return self.fc(torch.stack(steps, dim=1).mean(dim=1))


class Mirrored(nn.Module):
    """The image and its mirror image."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.conv(x) + self.conv(torch.flip(x, dims=[3]))
        return self.fc(F.relu(x).mean((2, 3)))


class Mixing(nn.Module):
    """Samples of a batch are joined: `view(-1, ...)` by a wrong number."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.fc = nn.Linear(49, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.fc(x.view(-1, 49)).view(-1, 8, 4).mean(1)
