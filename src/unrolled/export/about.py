"""What a run says about the numbers that its model reads and writes, for every form of export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..data.characters import Vocabulary
from ..data.kind import Kind
from ..data.language import Language
from ..data.music import Music
from ..data.table import Table
from ..data.units import Bytes, Subwords, Words
from ..data.voice import RANGE, Voice
from ..errors import UsageError, command_line


@dataclass(frozen=True)
class About:
    """What the numbers of a model mean.

    >>> About.of(Trained.load(Path("runs/text-gru")).kind).symbols[:3]
    ('\\n', ' ', '!')

    task: of the run; empty for a network without a run.
    reads, writes: one step of the input and one of the output, in words.
    tokens: whether a step reads the number of a symbol.
    symbols: the texts of the tokens that are read and predicted, by number; empty if a number needs no text.
    classes: what the scores are scores of, by number.
    columns: the names of the numbers that are read.
    mean, deviation: of the columns. The network reads (value - mean) / deviation.
    result: the name of the number that is predicted, with its mean and deviation: value = output * deviation + mean.
    lacks: what a user of the file has to do, sentence by sentence.
    """

    task: str = ""
    reads: str = ""
    writes: str = ""
    tokens: bool = False
    symbols: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    result: tuple[str, float, float] | None = None
    lacks: tuple[str, ...] = ()

    @staticmethod
    def of(kind: Kind) -> About:
        """What a kind of data says about its numbers.

        Raises:
            UsageError: a model of this kind needs more than a network.
        """
        for known, about in KINDS.items():
            if isinstance(kind, known):
                return about(kind)
        raise UsageError(
            f"a model of the task '{kind.name}' cannot be exported: {WHY.get(kind.name, 'unknown task')}. Use it with: "
            f"{command_line('predict', 'RUN', 'FILE')}"
        )


WHY = {
    "forecast": "a forecast is a regression over the calendar and the past, and the network adds to it",
    "pairs": "it has two networks, and one writes what the other has read",
}


def _language(kind: Language) -> About:
    unit, lacks = kind.options.unit, list[str]()
    symbols: tuple[str, ...] = ()
    if isinstance(kind.vocabulary, Vocabulary):
        symbols = tuple(kind.vocabulary.characters)
    elif isinstance(kind.vocabulary, Words):
        symbols = kind.vocabulary.words
        lacks.append("Divide a text into words, punctuation marks and spaces; symbol 0 replaces every other word.")
    elif isinstance(kind.vocabulary, Subwords):
        lacks.append(
            "The tokenizer of subwords is not part of the file. The run has it: data.vocabulary of config.json."
        )
    elif isinstance(kind.vocabulary, Bytes):
        lacks.append("The number of a symbol is the byte itself, of a text in UTF-8.")
    if kind.options.document == "line":
        lacks.append("Every line is a document: reset the state before a line break is read.")
    scores = f"the scores of the next {unit}; their softmax are probabilities"
    return About(kind.name, f"the number of a {unit}", scores, True, symbols, lacks=tuple(lacks))


def _table(kind: Table) -> About:
    result = None
    if kind.options.goal == "forecast":
        at = kind.columns.index(kind.target)
        result = f"{kind.target}, {kind.options.ahead} ahead", kind.mean[at], kind.deviation[at]
    filled = "previous value of its column" if kind.options.missing == "previous" else "mean of its column"
    answer = "each row" if kind.answer == "every" else "the sequence"
    return About(
        kind.name,
        "a row of the table",
        f"the forecast after {answer}"
        if result
        else f"the score of each class of {answer}; their softmax are probabilities",
        classes=tuple(kind.classes),
        columns=tuple(kind.columns),
        mean=tuple(kind.mean),
        deviation=tuple(kind.deviation),
        result=result,
        lacks=(f"Replace a missing value by the {filled}.",),
    )


def _voice(kind: Voice) -> About:
    made = f"Compute log-mel features of frames of 10 ms as unrolled.sources.LogMel does: {kind.inputs} bands, "
    made += f"{kind.rate:,} Hz."
    level = {
        "absolute": "",
        "recording": f"Subtract the largest feature of the recording, and cut at -{RANGE:g}.",
        "bands": f"Subtract the largest feature of the recording, cut at -{RANGE:g}, then subtract each band's mean.",
    }[kind.options.level]
    return About(
        kind.name,
        "the log-mel features of a frame of 10 ms",
        "the score of each class; their softmax are probabilities",
        classes=tuple(kind.classes),
        columns=tuple(f"band {i}" for i in range(kind.inputs)),
        mean=tuple(kind.mean),
        deviation=tuple(kind.deviation),
        lacks=tuple(text for text in (made, level) if text),
    )


def _music(kind: Music) -> About:
    keys = f"{kind.keys} keys"
    return About(
        kind.name, f"a frame of {keys}, 1 where a key sounds, else 0", f"the logits of the next frame's {keys}"
    )


KINDS: dict[type[Kind], Callable[[Any], About]] = {
    Language: _language,
    Table: _table,
    Voice: _voice,
    Music: _music,
}
