"""Training steps of PyTorch: pytorch.py MODE WORKLOAD SECONDS

MODE is eager (as tutorials have it), fused (the fused optimizer), channels_last (that and the
layout convolutions prefer) or compile (that and torch.compile). The workload "fashion-mnist" is
five epochs of images from files, from the start of the process to the test accuracy.
"""
import gzip
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

mode, workload, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
torch.manual_seed(1)
rows = 61440
layout = torch.channels_last if mode == "channels_last" else torch.contiguous_format


class Recurrent(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell, self.last = cell(28, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.last(self.cell(x)[0][:, -1])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        heads = lambda a: a.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = map(heads, self.all(self.norm1(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Transformer(nn.Module):
    def __init__(self, letters=65, context=64, width=128):
        super().__init__()
        self.letters, self.places = nn.Embedding(letters, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, 4) for _ in range(4)])
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, letters)

    def forward(self, x):
        x = self.blocks(self.letters(x) + self.places.weight)
        return self.last(self.norm(x)).flatten(0, 1)


def mlp(*widths):
    layers = [layer for pair in zip(widths, widths[1:]) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def lenet():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         mlp(400, 120, 84, 10))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         mlp(12544, 128, 10))


# The network, its optimizer, batch and the shape of a sample.
nets = {
    "mlp-32": (lambda: mlp(784, 128, 10), "sgd", 32, (784,)),
    "mlp-128": (lambda: mlp(784, 128, 10), "sgd", 128, (784,)),
    "mlp-1024": (lambda: mlp(784, 128, 10), "sgd", 1024, (784,)),
    "mlp-wide": (lambda: mlp(784, 512, 512, 10), "adam", 128, (784,)),
    "fashion-mnist": (lambda: mlp(784, 512, 512, 10), "adam", 128, (784,)),
    "lenet": (lenet, "adam", 64, (1, 28, 28)),
    "cnn": (cnn, "adam", 128, (1, 28, 28)),
    "lstm": (lambda: Recurrent(nn.LSTM), "adam", 128, (28, 28)),
    "gru": (lambda: Recurrent(nn.GRU), "adam", 128, (28, 28)),
    "transformer": (Transformer, "adamw", 32, None),
}


def images():
    """As rivals.h: noise, two bright rows that tell the class, one label in five at random."""
    x = torch.randint(0, 128, (rows, 28, 28), dtype=torch.uint8)
    y = torch.randint(0, 10, (rows,))
    for label in range(10):
        x[y == label, 2 * label + 4:2 * label + 6] += 64
    y = torch.where(torch.rand(rows) < 0.2, torch.randint(0, 10, (rows,)), y)
    return x.float() / 255, y


def texts():
    """As `soma bench`: each letter of 65 is followed by one of four."""
    x = torch.empty((rows, 65), dtype=torch.long)
    x[:, 0] = torch.randint(0, 65, (rows,))
    for i in range(64):
        x[:, i + 1] = (5 * x[:, i] + 17 + torch.randint(0, 4, (rows,))) % 65
    return x[:, :-1].contiguous(), x[:, 1:].contiguous()


def fashion_mnist(part):
    def read(name, skip):
        with gzip.open(f"/usr/share/datasets/fashion-mnist/{part}-{name}-ubyte.gz") as file:
            return torch.frombuffer(bytearray(file.read()[skip:]), dtype=torch.uint8)
    return read("images-idx3", 16).view(-1, 784).float() / 255, read("labels-idx1", 8).long()


def peak_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


make, optimizer, batch, shape = nets[workload]
net = make().to(memory_format=layout)
fused = {} if mode == "eager" else {"fused": True}
if optimizer == "sgd":
    optimizer = torch.optim.SGD(net.parameters(), 0.1, **fused)
else:
    kind = torch.optim.AdamW if optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(net.parameters(), 1e-3, **fused)


def loss_of(x, y):
    return F.cross_entropy(net(x), y.flatten())


if mode == "compile":
    loss_of = torch.compile(loss_of)


class Trainer:
    """One step after the other, through epochs of freshly shuffled rows."""

    def __init__(self, x, y):
        self.x, self.y, self.order, self.losses = x, y, [], []

    def step(self):
        if len(self.order) == 0:
            self.order = list(torch.randperm(len(self.x)).split(batch))
        chosen = self.order.pop()
        x, y = self.x[chosen], self.y[chosen]
        if layout == torch.channels_last and x.dim() == 4:
            x = x.contiguous(memory_format=layout)
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        if len(self.losses) < 20:
            self.losses.append(loss.detach())


if workload == "fashion-mnist":
    trainer = Trainer(*fashion_mnist("train"))
    for _ in range(5 * -(-60000 // batch)):
        trainer.step()
    x, y = fashion_mnist("t10k")
    with torch.no_grad():
        accuracy = (net(x).argmax(1) == y).float().mean().item()
    print(json.dumps({"test_accuracy": accuracy}))
    sys.exit()

x, y = texts() if shape is None else images()
if shape is not None:
    x = x.view(-1, *shape)
trainer = Trainer(x, y)
trainer.step()
start = time.perf_counter()
while time.perf_counter() - start < seconds / 5:
    trainer.step()
times = []
begin = now = time.perf_counter()
while len(trainer.losses) < 20 or len(times) < 5 or now - begin < seconds:
    trainer.step()
    times.append(time.perf_counter() - now)
    now = time.perf_counter()
print(json.dumps({"mean_seconds": statistics.mean(times), "median_seconds": statistics.median(times),
                  "least_seconds": min(times), "steps": len(times), "peak_bytes": peak_bytes(),
                  "first_loss": trainer.losses[0].item(), "loss": trainer.losses[19].item()}))
