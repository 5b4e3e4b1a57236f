"""Networks of tables. Shapes: N rows of 20 features."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Mlp(nn.Module):
    """Batch norm and dropout behind each layer."""

    def __init__(self, n_features=20, hidden=(24, 16), n_classes=4, p=0.2):
        super().__init__()
        layers = []
        for a, b in zip((n_features, *hidden), hidden, strict=False):
            layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(p)]
        self.net = nn.Sequential(*layers, nn.Linear(hidden[-1], n_classes))

    def forward(self, x):
        return self.net(x)


class BinaryClassifier(nn.Module):
    """Of a course: batch norms behind ReLU, one score."""

    def __init__(self):
        super().__init__()
        self.layer_1 = nn.Linear(20, 16)
        self.layer_2 = nn.Linear(16, 16)
        self.layer_out = nn.Linear(16, 1)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(p=0.1)
        self.batchnorm1 = nn.BatchNorm1d(16)
        self.batchnorm2 = nn.BatchNorm1d(16)

    def forward(self, inputs):
        x = self.relu(self.layer_1(inputs))
        x = self.batchnorm1(x)
        x = self.relu(self.layer_2(x))
        x = self.batchnorm2(x)
        x = self.dropout(x)
        return self.layer_out(x)


class Regression(nn.Module):
    """A number a row: `squeeze(1)`."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(20)
        self.fc1 = nn.Linear(20, 16)
        self.fc2 = nn.Linear(16, 1)

    def forward(self, x):
        x = F.relu(self.fc1(self.bn(x)))
        return self.fc2(x).squeeze(1)


class WideAndDeep(nn.Module):
    def __init__(self):
        super().__init__()
        self.deep = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
        self.wide = nn.Linear(20, 4)
        self.deep_out = nn.Linear(8, 4)

    def forward(self, x):
        return self.wide(x) + self.deep_out(self.deep(x))


class Columns(nn.Module):
    """The features in two groups, each with layers of its own."""

    def __init__(self):
        super().__init__()
        self.left = nn.Linear(12, 8)
        self.right = nn.Linear(8, 8)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        left, right = x[:, :12], x[:, 12:]
        h = torch.cat([torch.tanh(self.left(left)), F.leaky_relu(self.right(right))], dim=1)
        return self.fc(h)


class CrossNetwork(nn.Module):
    """Products with the input (DCN)."""

    def __init__(self, n=20, depth=2):
        super().__init__()
        self.cross = nn.ModuleList(nn.Linear(n, n) for _ in range(depth))
        self.out = nn.Linear(n, 4)

    def forward(self, x0):
        x = x0
        for layer in self.cross:
            x = x0 * layer(x) + x
        return self.out(x)


class ResidualMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(20, 16)
        self.norms = nn.ModuleList(nn.BatchNorm1d(16) for _ in range(2))
        self.ups = nn.ModuleList(nn.Linear(16, 24) for _ in range(2))
        self.downs = nn.ModuleList(nn.Linear(24, 16) for _ in range(2))
        self.out = nn.Linear(16, 4)

    def forward(self, x):
        x = self.inp(x)
        for norm, up, down in zip(self.norms, self.ups, self.downs, strict=True):
            x = x + F.dropout(down(F.relu(up(norm(x)))), 0.1, self.training)
        return self.out(F.relu(x))


def self_normalizing():
    return nn.Sequential(
        nn.Linear(20, 16), nn.SELU(), nn.AlphaDropout(0.1), nn.Linear(16, 8), nn.SELU(),
        nn.Linear(8, 4), nn.Sigmoid(),
    )  # fmt: skip


class WithEmbeddings(nn.Module):
    """The first column is a category."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(256, 4)
        self.fc = nn.Linear(4 + 19, 4)

    def forward(self, x):
        category = self.emb(x[:, 0].long())
        return self.fc(torch.cat([category, x[:, 1:] / 255], 1))


class FeatureGates(nn.Module):
    """A softmax over the features weighs them."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(20, 20)
        self.fc = nn.Linear(20, 4)

    def forward(self, x):
        mask = torch.softmax(self.gate(x), dim=-1)
        return self.fc(x * mask)
