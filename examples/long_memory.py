"""Three classic tests of memory: adding, temporal order, and the embedded Reber grammar.

    python examples/long_memory.py adding           # T = 400, goal: squared error below 0.01
    python examples/long_memory.py order            # T = 100 to 200, predict two symbols and their order
    python examples/long_memory.py reber            # the last symbol but one repeats the second symbol
    python examples/long_memory.py adding --cell gru --steps 100 --updates 500

Adding: Hochreiter and Schmidhuber (1997), "Long short-term memory", section 5.4, as in Le, Jaitly and Hinton (2015),
section 4.1. Two numbers of a sequence are marked, one in each half, and the network must predict their sum. Temporal
order: Hochreiter and Schmidhuber (1997), task 6a. Embedded Reber grammar: ibid., section 5.1.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unrolled import Ragged, cells, losses
from unrolled.nn.model import SequenceModel, States
from unrolled.train.loop import Loss, Training
from unrolled.train.settings import Settings

HELD_OUT = 1000  # test sequences, which are not used in training


class Batch(NamedTuple):
    """Concatenated sequences (sum of times, features), their targets, and their lengths (n,)."""

    x: Tensor
    y: Tensor
    lengths: Tensor


def adding(draw: random.Random, steps: int) -> tuple[Tensor, Tensor]:
    """Numbers in [0, 1] and marks at two of them, (steps, 2), and the sum of the marked numbers, (1,)."""
    values, marks = torch.tensor([draw.random() for _ in range(steps)]), torch.zeros(steps)
    first, second = draw.randrange(steps // 2), draw.randrange(steps // 2, steps)
    marks[[first, second]] = 1.0
    return torch.stack([values, marks], 1), (values[first] + values[second])[None]


def order(draw: random.Random, steps: int) -> tuple[Tensor, Tensor]:
    """Symbols E, a to d, X, Y, B as one-hot vectors (steps, 8), and the class XX, XY, YX or YY that they contain."""
    length = draw.randint(steps, steps + steps // 10)
    symbols = [0] + [draw.randint(1, 4) for _ in range(length - 2)] + [7]
    first, second = draw.randint(5, 6), draw.randint(5, 6)
    symbols[draw.randint(steps // 10, steps // 5)] = first
    symbols[draw.randint(steps // 2, 6 * steps // 10)] = second
    return nn.functional.one_hot(torch.tensor(symbols), 8).float(), torch.tensor(2 * (first - 5) + second - 5)


# for each state of the grammar: the possible symbols and the next states
REBER = {0: "T1 P2", 1: "S1 X3", 2: "T2 V4", 3: "X2 S5", 4: "P3 V5"}
SYMBOLS = "BTPSXVE"


def reber(draw: random.Random, steps: int) -> tuple[Tensor, Tensor]:
    """A word of the embedded Reber grammar with at least ``steps`` symbols, as one-hot vectors (time, 7), and the next
    symbol at each step, (time,)."""
    word = ""
    while len(word) < steps:
        inner, place = "B", 0
        while place != 5:
            symbol, place = (lambda way: (way[0], int(way[1])))(draw.choice(REBER[place].split()))
            inner += symbol
        outer = draw.choice("TP")
        word = f"B{outer}{inner}E{outer}E"
    numbers = torch.tensor([SYMBOLS.index(symbol) for symbol in word])
    return nn.functional.one_hot(numbers[:-1], 7).float(), numbers[1:]


class Problem:
    """One of the tests as a task for the training loop. The number of a batch determines its random sequences."""

    def __init__(self, name: str, cell: str, hidden: int, steps: int, rows: int, seed: int) -> None:
        self.name, self.steps, self.rows, self.seed = name, steps, rows, seed
        self.draw, inputs, outputs, answer = PROBLEMS[name]
        torch.manual_seed(seed)
        self.model = SequenceModel(cells.ALL[cell], inputs, outputs, hidden, answer=answer)
        if cell in KEEPING:
            self.start_with_long_memory(*KEEPING[cell])
        self.held_out = self.batch("held out", HELD_OUT)

    def start_with_long_memory(self, keep: int, write: int | None, gates: int) -> None:
        """Set the biases so that the units remember for different times, between 1 and about ``steps`` steps: chrono
        initialisation (Tallec and Ollivier 2018, "Can recurrent neural networks warp time?")."""
        bias = self.model.first.get_parameter("b").data.chunk(gates)
        bias[keep].uniform_(1, max(self.steps - 1, 2)).log_()
        if write is not None:
            bias[write].copy_(-bias[keep])

    def batch(self, number: object, rows: int) -> Batch:
        draw = random.Random(f"{self.name} {self.seed} {number}")
        pairs = [self.draw(draw, self.steps) for _ in range(rows)]
        read, answers = Ragged([x for x, _ in pairs]), [y for _, y in pairs]
        return Batch(read.values, torch.cat(answers) if self.name == "reber" else torch.stack(answers), read.lengths)

    def batches(self, epoch: int) -> Iterator[Batch]:
        for number in range(1000):
            yield self.batch(f"{epoch} {number}", self.rows)

    def answers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        scores, _ = self.model(Ragged(values=batch.x, lengths=batch.lengths))
        return scores.values if self.name == "reber" else scores, batch.y

    def loss(self, batch: Batch, states: States) -> Loss:
        scores, y = self.answers(batch)
        cost = losses.squared_error if self.name == "adding" else losses.nll
        return Loss(cost(scores, y), len(y))

    def validate(self) -> float:
        with torch.no_grad():
            total, count, _ = self.loss(self.held_out, ())
        return total.item() / count

    def score(self) -> float:
        """The mean squared error, or the accuracy (for Reber, of the last symbol but one)."""
        self.model.eval()
        with torch.no_grad():
            scores, y = self.answers(self.held_out)
        if self.name == "adding":
            return (scores - y).square().mean().item()
        if self.name == "order":
            return (scores.argmax(-1) == y).float().mean().item()
        at = self.held_out.lengths.cumsum(0) - 2  # T or P, the same as the second symbol
        return (scores[at][:, [1, 2]].argmax(-1) + 1 == y[at]).float().mean().item()


KEEPING = {"lstm": (1, 0, 4), "gru": (1, None, 3)}  # the gate that keeps, the gate that writes, the number of gates
PROBLEMS = {"adding": (adding, 2, 1, "last"), "order": (order, 8, 4, "last"), "reber": (reber, 7, 7, "every")}
USUAL = {"adding": (400, 3000), "order": (100, 2000), "reber": (9, 1500)}  # steps, updates


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem", choices=PROBLEMS)
    parser.add_argument("--cell", default="lstm", choices=[name for name in cells.ALL if name != "autonomous"])
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--updates", type=int)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    steps, updates = given.steps or USUAL[given.problem][0], given.updates or USUAL[given.problem][1]
    problem = Problem(given.problem, given.cell, given.hidden, steps, given.rows, given.seed)
    settings = Settings(updates=updates, rate=given.rate, average=0.99)
    for progress in Training(problem, settings).run():
        if progress.validation is not None:
            print(f"{progress.done:5.0%}   {progress.seconds:6.0f} s   loss {progress.validation:.5f}", flush=True)
    what = "mean squared error" if given.problem == "adding" else "accuracy"
    print(f"{given.problem}, T = {steps}, {given.cell}: {what} {problem.score():.5f} on {HELD_OUT} sequences")


if __name__ == "__main__":
    main()
