"""Signals, texts and sequences. Shapes: N rows of 20 values, or images of one row, 1 x 1 x 64."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Ecg(nn.Module):
    """Convolutions of one axis."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 8, kernel_size=5, padding=2)
        self.bn1 = nn.BatchNorm1d(8)
        self.pool = nn.MaxPool1d(2)
        self.conv2 = nn.Conv1d(8, 8, kernel_size=3)
        self.fc = nn.Linear(8 * 8, 4)

    def forward(self, x):
        x = x.unsqueeze(1)
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        x = F.relu(self.conv2(x))
        return self.fc(x.flatten(1))


class EcgAsImage(nn.Module):
    """The same signal as an image of one row."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=(1, 7), stride=(1, 2), padding=(0, 3))
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, kernel_size=(1, 5), dilation=(1, 2))
        self.fc = nn.Linear(8 * 12, 4)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(F.relu(self.conv2(x)), (1, 2))
        return self.fc(x.squeeze(2).view(x.size(0), -1))


class TextCnn(nn.Module):
    """Words, windows of several lengths."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 6)
        self.convs = nn.ModuleList([nn.Conv2d(1, 4, (k, 6)) for k in (2, 3)])
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.embed(x.long()).unsqueeze(1)
        x = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        x = torch.cat([F.max_pool1d(i, i.size(2)).squeeze(2) for i in x], 1)
        return self.fc(x)


class Lstm(nn.Module):
    """Steps of five values."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 8, batch_first=True)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        out, _ = self.lstm(x.view(-1, 4, 5))
        return self.fc(out[:, -1, :])


class GruCells(nn.Module):
    """A loop over steps by hand."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(5, 8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        h = torch.zeros(x.size(0), 8)
        for t in range(4):
            h = self.cell(x[:, 5 * t : 5 * t + 5], h)
        return self.fc(h)


class ElmanByHand(nn.Module):
    """Two linear layers and a hidden state."""

    def __init__(self, hidden=8):
        super().__init__()
        self.hidden = hidden
        self.i2h = nn.Linear(5 + hidden, hidden)
        self.fc = nn.Linear(hidden, 4)

    def forward(self, x):
        h = torch.zeros(x.size(0), self.hidden)
        for t in range(4):
            h = torch.tanh(self.i2h(torch.cat((x[:, 5 * t : 5 * t + 5], h), 1)))
        return self.fc(h)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(5, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.embed(x.view(x.size(0), 4, 5))
        x, _ = self.attention(x, x, x)
        return self.fc(x.mean(1))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(5, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.encoder(self.embed(x.reshape(-1, 4, 5)))
        return self.fc(x.mean(dim=1))


class SelfAttention(nn.Module):
    """Of one head, by hand."""

    def __init__(self, dim=8):
        super().__init__()
        self.embed = nn.Linear(5, dim)
        self.q, self.k, self.v = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.fc = nn.Linear(dim, 4)

    def forward(self, x):
        x = self.embed(x.view(-1, 4, 5))
        q, k, v = self.q(x), self.k(x), self.v(x)
        scores = torch.matmul(q, k.transpose(-2, -1)) / 8**0.5
        return self.fc((F.softmax(scores, dim=-1) @ v).mean(1))
