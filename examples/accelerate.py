"""Four models of torch.nn, before and after ``unrolled.accelerate``: the same answers, and the time.

    python examples/accelerate.py                                       # with random weights
    python examples/accelerate.py --packages .venv-accelerate           # with the weights of two packages
    python examples/accelerate.py --packages .venv-accelerate --write benchmarks/ACCELERATE.md

A speaker encoder (the LSTM of the package Resemblyzer), a voice detector that steps over a recording (the LSTMCell of
the package silero-vad), a tagger of characters, and a GRUCell that reads what it wrote the step before. One thread.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import unrolled
from unrolled.speed.machine import machine

RESEMBLYZER, SILERO = "resemblyzer/pretrained.pt", "silero_vad/data/silero_vad_16k.safetensors"


class SpeakerEncoder(nn.Module):
    """Log-mel frames (batch, time, 40) to unit vectors (batch, 256), as in the package Resemblyzer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.linear = nn.LSTM(40, 256, 3, batch_first=True), nn.Linear(256, 256)

    def forward(self, mels: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(self.linear(hidden[-1]).relu(), dim=1)

    def load(self, folder: Path) -> None:
        weights = torch.load(folder / RESEMBLYZER, map_location="cpu", weights_only=False)["model_state"]
        self.load_state_dict({n: w for n, w in weights.items() if not n.startswith("similarity")})


class VoiceDetector(nn.Module):
    """A recording (batch, samples) of 16 kHz to the probability of a voice in each 32 ms, as in the package silero-vad:
    a short-time spectrum, convolutions, and one step of an LSTM cell per 512 samples."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1, self.conv2 = nn.Conv1d(129, 128, 3, padding=1), nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3, self.conv4 = nn.Conv1d(64, 64, 3, stride=2, padding=1), nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell, self.final_conv = nn.LSTMCell(128, 128), nn.Conv1d(128, 1, 1)

    def forward(self, samples: Tensor) -> Tensor:
        found, state = [], None
        for piece in nn.functional.pad(samples, (64, 0)).unfold(1, 576, 512).unbind(1):  # 64 samples of the one before
            wave = self.stft_conv(nn.functional.pad(piece, (0, 64), mode="reflect")[:, None])
            real, imaginary = wave[:, :129], wave[:, 129:]
            x = (real.square() + imaginary.square() + 1e-12).sqrt()  # a root of zero has no gradient
            for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
                x = conv(x).relu()
            state = self.lstm_cell(x.squeeze(-1), state)
            found.append(self.final_conv(state[0][..., None].relu()).sigmoid()[:, 0, 0])
        return torch.stack(found, 1)

    def load(self, folder: Path) -> None:
        self.load_state_dict(load_file(folder / SILERO))


class Tagger(nn.Module):
    """Characters (batch, time) with their lengths to the scores of tags (batch, time, 12)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.read_out = nn.Embedding(96, 64), nn.Linear(256, 12)
        self.lstm = nn.LSTM(64, 128, 2, batch_first=True, bidirectional=True)

    def forward(self, text: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(text), lengths, batch_first=True, enforce_sorted=False)
        return self.read_out(pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0])


class Writer(nn.Module):
    """A first state (batch, 128) to 60 vectors (batch, 60, 32), each of which is read at the step after it."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.read_out = nn.GRUCell(32, 128), nn.Linear(128, 32)

    def forward(self, h: Tensor) -> Tensor:
        said = [h.new_zeros(len(h), 32)]
        for _ in range(60):
            h = self.cell(said[-1], h)
            said.append(self.read_out(h).tanh())
        return torch.stack(said[1:], 1)


class Case(NamedTuple):
    name: str
    model: nn.Module
    inputs: tuple[Tensor, ...]


def cases(folder: Path | None = None) -> list[Case]:
    """The four models and what they read; folder: where the packages are installed."""
    torch.manual_seed(0)
    encoder, detector = SpeakerEncoder(), VoiceDetector()
    if folder is not None:
        encoder.load(folder)
        detector.load(folder)
    lengths = torch.randint(5, 81, (32,))
    text = torch.randint(96, (32, int(lengths.max())))
    return [
        Case("speaker encoder: LSTM, 3 layers of 256; 8 x 160 frames", encoder, (torch.randn(8, 160, 40).abs() * 0.1,)),
        Case("voice detector: LSTMCell of 128; 100 steps of 1 recording", detector, (torch.randn(1, 51200) * 0.1,)),
        Case("tagger: LSTM, 2 layers of 128 in 2 directions, packed; 32 texts", Tagger(), (text, lengths)),
        Case("writer: GRUCell of 128; 60 steps of 16", Writer(), (torch.randn(16, 128),)),
    ]


class Row(NamedTuple):
    """What was measured of a model. Differences are of its outputs; times are in milliseconds."""

    name: str
    difference: float  # largest, between before and after
    errors: tuple[float, float]  # mean distance to float64, before and after
    inference: tuple[float, float]
    training: tuple[float, float]


def measured(case: Case, seconds: float) -> Row:
    """A model and its accelerated copy, in turns."""
    theirs, ours = case.model, copy.deepcopy(case.model)
    report = unrolled.accelerate(ours)
    assert report.replaced and not report.left, report
    with torch.no_grad():
        before, after = theirs(*case.inputs), ours(*case.inputs)
        exact = copy.deepcopy(theirs).double()(*(x.double() if x.is_floating_point() else x for x in case.inputs))

    def inference(model: nn.Module) -> None:
        with torch.no_grad():
            model(*case.inputs)

    def training(model: nn.Module) -> None:
        model.zero_grad()
        model(*case.inputs).square().mean().backward()

    return Row(
        case.name,
        (after - before).abs().max().item(),
        ((before - exact).abs().mean().item(), (after - exact).abs().mean().item()),
        in_turns(lambda: inference(theirs), lambda: inference(ours), seconds),
        in_turns(lambda: training(theirs), lambda: training(ours), seconds),
    )


def in_turns(first: Callable[[], None], second: Callable[[], None], seconds: float) -> tuple[float, float]:
    """The median time of each, in milliseconds, when they run one after the other for some seconds."""
    first(), second()
    times: tuple[list[float], list[float]] = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times[0]:
        for run, found in zip((first, second), times, strict=True):
            begun = time.perf_counter()
            run()
            found.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


HEADER = """\
| model | largest difference | mean error of torch, ours | inference | | training | |
| --- | --- | --- | --- | --- | --- | --- |
"""


def line(row: Row) -> str:
    def times(found: tuple[float, float]) -> str:
        return f"{found[0]:.1f} → {found[1]:.1f} ms | {found[0] / found[1]:.2f}x"

    errors = f"{row.errors[0]:.1e}, {row.errors[1]:.1e}"
    return f"| {row.name} | {row.difference:.1e} | {errors} | {times(row.inference)} | {times(row.training)} |\n"


def page(rows: list[Row], pretrained: bool) -> str:
    """The page of the results."""
    weights = "the weights of the packages Resemblyzer and silero-vad" if pretrained else "random weights"
    return (
        "# Models of torch.nn, before and after `unrolled.accelerate`\n\n"
        f"{machine()}; one thread.\n\n"
        f"The models of [examples/accelerate.py](../examples/accelerate.py), with {weights}. The\n"
        "largest difference between the outputs of both; the mean distance of each to the same model in float64;\n"
        "median times of a forward pass, and of a forward and backward pass, in turns. Made by\n"
        "`make bench-accelerate`.\n\n" + HEADER + "".join(map(line, rows))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--packages", type=Path, help="environment or folder where Resemblyzer and silero-vad are")
    parser.add_argument("--seconds", type=float, default=10.0, help="per measurement (default: 10)")
    parser.add_argument("--write", type=Path, help="also write the results to this page")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = None
    if options.packages:
        found = sorted(options.packages.rglob(RESEMBLYZER))
        if not found:
            parser.error(f"there is no {RESEMBLYZER} in {options.packages}. Run: make bench-accelerate")
        folder = found[0].parents[1]
    print(HEADER, end="")
    rows = []
    for case in cases(folder):
        rows.append(measured(case, options.seconds))
        print(line(rows[-1]), end="", flush=True)
    if options.write:
        options.write.write_text(page(rows, folder is not None), encoding="utf-8")


if __name__ == "__main__":
    main()
