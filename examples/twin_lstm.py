"""A language model of this library and its twin with torch.nn.LSTM: same starting values, batches, optimizer and
updates.

    python examples/twin_lstm.py input.txt                 # two layers of 128, 3000 updates each
    python examples/twin_lstm.py input.txt --updates 200

The first 90 % of the text are the training set, and the next 5 % the validation set. The two models take turns at every
window of the text, so that other work on the machine slows down both. The time of each is that of its own updates.
"""

from __future__ import annotations

import argparse
import time
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from torch import Tensor, nn

from unrolled import cells, losses
from unrolled.data.characters import Vocabulary
from unrolled.data.documents import read_documents
from unrolled.data.tokens import Tokens
from unrolled.nn import SequenceModel, interop
from unrolled.sequence.streams import Window, windows


class Twin(nn.Module):
    """The same model made of torch's modules, with the same starting values."""

    def __init__(self, ours: SequenceModel) -> None:
        super().__init__()
        layers = [interop.to_torch(layer) for layer in ours.layers]
        self.lstm = nn.LSTM(layers[0].input_size, layers[0].hidden_size, len(layers), batch_first=True)
        for number, layer in enumerate(layers):
            for name, value in layer.named_parameters():
                getattr(self.lstm, name.replace("_l0", f"_l{number}")).data.copy_(value.data)
        self.embedding = nn.Embedding.from_pretrained(ours.embedding.weight.detach().clone(), freeze=False)
        self.read_out = nn.Linear(ours.read_out.in_features, ours.read_out.out_features)
        self.read_out.load_state_dict(ours.read_out.state_dict())

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, state = self.lstm(self.embedding(x), state)
        return self.read_out(h), state


class Learner:
    """A model, its optimizer, the state that it carries from window to window, and the time of its updates in
    seconds."""

    def __init__(self, model: nn.Module, updates: int) -> None:
        self.model, self.state, self.seconds = model, None, 0.0
        self.optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, updates)

    def learn(self, window: Window, first: bool) -> None:
        """One update. The state is reset at the start of each pass over the text."""
        begun = time.perf_counter()
        self.optimizer.zero_grad()
        scores, state = self.model(window.x, None if first else self.state)
        losses.nll(scores, window.y, "mean").backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.state = tuple(part.detach() for part in state)
        self.seconds += time.perf_counter() - begun

    def loss(self, series: Tokens) -> float:
        """The loss in nats per character on a series (time,), read from beginning to end without updates."""
        total, state = 0.0, None
        with torch.no_grad():
            for x, y in windows(series, rows=1, longest=1000):
                scores, state = self.model(x, state)
                total += losses.nll(scores, y).item()
        return total / (len(series) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--window", type=int, default=64)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    documents = read_documents(given.text)
    vocabulary = Vocabulary.of(documents.scan.characters)
    train, validation, _ = documents.encoded(vocabulary)

    ours = SequenceModel(cells.lstm, len(vocabulary), len(vocabulary), hidden=128, layers=2, embedding=64)
    learners = {"this library": Learner(ours, given.updates), "torch.nn.LSTM": Learner(Twin(ours), given.updates)}
    one_pass = list(windows(train, given.rows, given.window))
    stream = enumerate(islice(chain.from_iterable(repeat(one_pass)), given.updates))
    print(f"updates   {'   '.join(f'{name:>20}' for name in learners)}")
    for number, window in stream:
        order = list(learners.values())
        for learner in order if number % 2 else order[::-1]:
            learner.learn(window, first=number % len(one_pass) == 0)
        if (number + 1) % max(given.updates // 10, 1) == 0:
            shown = [f"{learner.loss(validation):.4f} nats {learner.seconds:6.1f} s" for learner in order]
            print(f"{number + 1:7,}   {'   '.join(f'{text:>20}' for text in shown)}", flush=True)
    (mine, its) = learners.values()
    share = mine.loss(validation) / its.loss(validation) - 1
    ratio = mine.seconds / its.seconds
    print(f"validation loss {share:+.2%} compared with torch.nn.LSTM, in {ratio:.2f} times its time")


if __name__ == "__main__":
    main()
