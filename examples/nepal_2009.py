"""When did the narrator go to Nepal? The same fact at different positions of a sentence.

"I went to Nepal in 2009" and "In 2009 I went to Nepal" state the same year, once as the sixth word and once as the
second. A recurrent network reads every word with the same parameters. A feed-forward network for sentences of a fixed
length has separate parameters for each position, and must learn at each position again what a year is. Here both are
trained on the same sentences, in which the year is never at certain positions. They are tested on sentences in which it
is at these positions, and on sentences that are five times as long.

    python examples/nepal_2009.py               # about half a minute
    python examples/nepal_2009.py --seed 3      # other sentences and other starting weights

Goodfellow, Bengio and Courville (2016), Deep Learning, chapter 10: sharing parameters across parts of a model.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

import unrolled
from unrolled import cells, losses

YEARS = [str(year) for year in range(1990, 2020)]
LONGEST = 20  # the largest number of words in a training sentence
HELD_OUT = (5, 9, 13)  # in training, the year is never the 5th, 9th or 13th word
TIMES_LONGER = 5

# The language: {who} is replaced by any phrase of that name; * is a possible position of "in 2009".
CLAUSES = [
    "* {who} {went} to {place} *",
    "* {who} {went} to {place} * {company} *",
    "* {who} {went} from {place} * to {place} *",
    "* {who} {went} {company} to {place} *",
    "* {who} saw {place} *",
    "* {who} saw {place} * for the first time *",
    "* {who} saw the old town of {place} *",
    "* {who} stayed {duration} in {place} *",
    "* {who} slept in room {number} of a small hotel in {place} *",
    "* {who} met {number} {people} in {place} *",
    "* {who} met a {person} at the age of {number} *",
    "* {who} lived in {place} * {company} *",
    "* {who} lived at {number} River Street *",
    "{duration} later * {who} {went} to {place} *",
    "{company} * {who} {went} to {place} for {duration} *",
]
PHRASES = {
    "opening": "|||well|you know|I think that|as far as I remember|let me tell you how",
    "link": "and|and then|but|because|before|after that|while|so",
    "who": "I|we|my sister|my brother|our parents|a friend of mine|two of us|the whole family|Maria|old Tom",
    "went": "went|flew|walked|came back|moved|took a train|sailed|drove all the way|returned",
    "place": "Nepal|Peru|Lima|Oslo|New York|Kenya|Rome|the sea|Sri Lanka|the mountains|Kyoto|Cape Town",
    "company": "alone|together|with my sister|with {number} friends|with the {person} from next door",
    "duration": "{number} days|{number} weeks|a month|one long winter|a few hours",
    "people": "travellers|teachers|musicians|old friends",
    "person": "teacher|doctor|painter|guide|neighbour",
    "number": "3|4|5|7|9|12|14|18|21|25|30|47|90|214|365",
}
WORDS = {w for text in (*CLAUSES, *PHRASES.values()) for w in text.replace("|", " ").split() if w[0] not in "{*"}
VOCABULARY = {word: i for i, word in enumerate(sorted({"in", *YEARS, *WORDS}))}


class Sentence(NamedTuple):
    words: tuple[str, ...]
    position: int  # the position of the year; the first word is at 1

    @property
    def year(self) -> str:
        return self.words[self.position - 1]


def filled(template: str, rng: random.Random) -> str:
    """Replace every {name} in the template by one of its phrases."""
    while "{" in template:
        name = template[template.index("{") + 1 : template.index("}")]
        template = template.replace("{" + name + "}", rng.choice(PHRASES[name].split("|")), 1)
    return template


def sentence(rng: random.Random, least: int) -> Sentence:
    """Link clauses until there are ``least`` words, and insert "in" and a year at one of the possible positions."""
    words = filled("{opening} " + rng.choice(CLAUSES), rng).split()
    while len(words) - words.count("*") + 2 < least:
        words += filled("{link} " + rng.choice(CLAUSES), rng).split()
    place = rng.choice([i for i, word in enumerate(words) if word == "*"])
    before = [word for word in words[:place] if word != "*"]
    after = [word for word in words[place:] if word != "*"]
    return Sentence((*before, "in", rng.choice(YEARS), *after), len(before) + 2)


class Data(NamedTuple):
    train: list[Sentence]
    seen: list[Sentence]  # new sentences with the year at positions of the training sentences
    unseen: list[Sentence]  # new sentences with the year at the held-out positions
    long: list[Sentence]  # new sentences of at least TIMES_LONGER * LONGEST words with the year anywhere


def make_data(rng: random.Random, train: int, test: int) -> Data:
    """All sets, without a repeated sentence, from the same templates: ``train`` sentences, and three times ``test``."""
    used: set[Sentence] = set()

    def collect(count: int, wanted: Callable[[Sentence], bool], long: bool = False) -> list[Sentence]:
        found: list[Sentence] = []
        while len(found) < count:
            drawn = sentence(rng, TIMES_LONGER * LONGEST if long else rng.randint(1, LONGEST))
            if (long or len(drawn.words) <= LONGEST) and wanted(drawn) and drawn not in used:
                used.add(drawn)
                found.append(drawn)
        return found

    return Data(
        collect(train, lambda s: s.position not in HELD_OUT),
        collect(test, lambda s: s.position not in HELD_OUT),
        collect(test, lambda s: s.position in HELD_OUT),
        collect(test, lambda s: True, long=True),
    )


def encoded(sentences: Sequence[Sentence]) -> tuple[Tensor, Tensor]:
    """The words (batch, time) of sentences of equal length, and their years (batch,), as integers."""
    words = torch.tensor([[VOCABULARY[word] for word in s.words] for s in sentences])
    return words, torch.tensor([YEARS.index(s.year) for s in sentences])


def batches(sentences: list[Sentence], size: int, rng: random.Random) -> list[tuple[Tensor, Tensor]]:
    """Every sentence once, in random order, in batches of sentences of equal length."""
    by_length = defaultdict(list)
    for s in rng.sample(sentences, len(sentences)):
        by_length[len(s.words)].append(s)
    groups = [same[i : i + size] for same in by_length.values() for i in range(0, len(same), size)]
    return [encoded(group) for group in rng.sample(groups, len(groups))]


class RecurrentReader(nn.Module):
    """Reads a whole sentence, then predicts the year from its last state (the lecture's structure 3)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.read = unrolled.Recurrent(cells.gru, x=len(VOCABULARY), h=hidden)
        self.answer = nn.Linear(hidden, len(YEARS))
        # At each word, a GRU keeps the fraction z of its state; the gates are stacked r z n. With z = sigmoid(5) =
        # 0.993 at the start, it remembers about 150 words (Tallec and Ollivier 2018, Can recurrent neural networks warp
        # time?).
        with torch.no_grad():
            self.read.b[hidden : 2 * hidden] = 5.0

    def forward(self, words: Tensor) -> Tensor:
        start = self.read.initial_state(len(words))
        if self.training:  # a random state, as if much had been read before, which the year must overwrite
            start = unrolled.State(h=torch.empty_like(start.h).uniform_(-1, 1))
        return self.answer(self.read(words, state=start).last.h)


class SeparateParameters(nn.Module):
    """A feed-forward network for LONGEST words. Its first layer has a separate weight matrix for each position."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.read = nn.Linear(LONGEST * len(VOCABULARY), hidden)
        self.answer = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, len(YEARS)))

    def forward(self, words: Tensor) -> Tensor:
        x = nn.functional.one_hot(words, len(VOCABULARY)).float()
        x = nn.functional.pad(x, (0, 0, 0, LONGEST - words.shape[1]))  # zeros after the end of a shorter sentence
        return self.answer(self.read(x.flatten(1)))

    def of_held_out_years(self) -> Tensor:
        """The first layer's weights for a year at the held-out positions: (hidden, positions, years)."""
        weights = self.read.weight.detach().view(-1, LONGEST, len(VOCABULARY))
        return weights[:, [p - 1 for p in HELD_OUT]][:, :, [VOCABULARY[year] for year in YEARS]].clone()


def train(network: nn.Module, sentences: list[Sentence], epochs: int, rate: float, seed: int) -> None:
    """Train with Adam and a learning rate that falls linearly to zero. The same seed gives the same batches."""
    rng = random.Random(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    network.train()
    for epoch in range(epochs):
        todo = batches(sentences, 128, rng)
        for i, (words, years) in enumerate(todo):
            optimizer.param_groups[0]["lr"] = rate * (1 - (epoch + i / len(todo)) / epochs)
            optimizer.zero_grad()
            losses.nll(network(words), years, reduction="mean").backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        print(".", end="", flush=True)


@torch.no_grad()
def accuracy(network: nn.Module, sentences: list[Sentence], window: slice = slice(None)) -> float:
    """The percentage of correctly predicted years, from the words in the window."""
    network.eval()
    todo = batches(sentences, 256, random.Random(0))
    return 100 * sum(int((network(x[:, window]).argmax(1) == y).sum()) for x, y in todo) / len(sentences)


def report(data: Data, recurrent: RecurrentReader, separate: SeparateParameters) -> None:
    """Print the table of results and how to read it."""
    first, last = (accuracy(separate, data.long, part) for part in (slice(LONGEST), slice(-LONGEST, None)))
    shared = [accuracy(recurrent, test) for test in (data.seen, data.unseen, data.long)]
    apart = [accuracy(separate, data.seen), accuracy(separate, data.unseen), max(first, last)]
    print(f"\ncorrect years         parameters  seen positions  unseen positions  {TIMES_LONGER} times longer")
    for name, network, figures in (
        ("recurrent", recurrent, shared),
        ("separate parameters", separate, apart),
        ("chance", None, [100 / len(YEARS)] * 3),
    ):
        parameters = f"{sum(p.numel() for p in network.parameters()):,}" if network else ""
        print(f"{name:20} {parameters:>11} {figures[0]:14.1f}% {figures[1]:16.1f}% {figures[2]:14.1f}%")

    lengths = [len(s.words) for s in data.long]
    within = 100 * sum(s.position <= LONGEST for s in data.long) / len(data.long)
    print(f"""
Seen and unseen positions: {len(data.seen):,} new sentences each.
{TIMES_LONGER} times longer: {len(data.long):,} sentences of {min(lengths)} to {max(lengths)} words, the year anywhere.
The network with separate parameters cannot read them whole. It reads only the first {LONGEST} words
({first:.1f}% correct) or only the last {LONGEST} ({last:.1f}% correct); the table shows the better result.
The year is among the first {LONGEST} words in {within:.1f}% of these sentences.
""")
    print(f"unseen positions: recurrent {shared[1]:.1f}% separate parameters {apart[1]:.1f}%")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Which year does a sentence state? Shared and separate parameters.")
    parser.add_argument("--seed", type=int, default=0, help="other sentences, other starting weights")
    seed = parser.parse_args(arguments).seed
    torch.set_num_threads(1)  # the matrices are too small for several threads
    torch.manual_seed(seed)

    data = make_data(random.Random(seed), train=20_000, test=2_000)
    print(
        f"Each of {len(data.train):,} sentences of up to {LONGEST} words states one of {len(YEARS)} years. For example:"
    )
    for s in data.train[:3]:
        print(f"  {' '.join(s.words)}")
    print(f"In training, the year is never word {', '.join(map(str, HELD_OUT[:-1]))} or {HELD_OUT[-1]}.\n")

    recurrent, separate = RecurrentReader(hidden=96), SeparateParameters(hidden=64)
    before = separate.of_held_out_years()
    for name, network, rate in (("recurrent", recurrent, 0.01), ("separate parameters", separate, 0.002)):
        started = time.perf_counter()
        print(f"training {name:20} ", end="", flush=True)
        train(network, data.train, epochs=6, rate=rate, seed=seed)
        print(f" {time.perf_counter() - started:.0f} s")
    moved = int((before != separate.of_held_out_years()).sum())
    print(f"Training has changed {moved} of the {before.numel():,} separate weights for a year at held-out positions.")
    report(data, recurrent, separate)


if __name__ == "__main__":
    main()
