"""The units that a text is read as: characters, bytes, words or subwords. Each encodes a text as numbers, and back."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from ..errors import DataError, UsageError
from .characters import Unknown, Vocabulary
from .texts import at_words, with_ends

UNITS = ("character", "byte", "word", "subword")
PIECES = re.compile(r"\w+|\s|[^\w\s]")
RARE = "\ufffd"  # replaces every word that is not in the vocabulary


class Units(Protocol):
    """The units that a model knows, numbered from 0.

    any_cut: whether the numbers of a text are those of its pieces, wherever it is cut; else only where ``at_words``
        cuts it.
    """

    any_cut: ClassVar[bool]

    def __len__(self) -> int: ...

    def encode(self, text: str) -> Tensor:
        """The numbers of a text: (steps,)."""

    def steps(self, text: str) -> int:
        """The number of units of a text."""

    def texts(self, numbers: Iterable[int]) -> Iterator[str]:
        """The text of numbers, unit by unit."""

    def unknown(self, text: str) -> Unknown | None:
        """The first character that cannot be encoded, if there is one."""

    def without_unknown(self, text: str) -> str:
        """The text without characters that cannot be encoded."""

    def opening(self) -> Tensor:
        """What is read when there is no prompt, a line break if possible: (1,)."""

    def dump(self) -> Any:
        """The units as JSON."""


class Whole(Units):
    """Units that can encode every text."""

    any_cut = False

    def steps(self, text: str) -> int:
        return len(self.encode(text))

    def unknown(self, text: str) -> Unknown | None:
        return None

    def without_unknown(self, text: str) -> str:
        return text


class Bytes(Whole):
    """The bytes of a text in UTF-8."""

    any_cut = True

    def __len__(self) -> int:
        return 256

    def steps(self, text: str) -> int:
        return len(text.encode("utf-8", "surrogatepass"))

    def encode(self, text: str) -> Tensor:
        return torch.frombuffer(bytearray(text.encode("utf-8", "surrogatepass")), dtype=torch.uint8).long()

    def texts(self, numbers: Iterable[int]) -> Iterator[str]:
        """The text, character by character, as soon as the bytes of each are complete."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for number in numbers:
            if text := decoder.decode(bytes([number])):
                yield text

    def opening(self) -> Tensor:
        return torch.tensor([ord("\n")])

    def dump(self) -> None:
        return None


@dataclass(frozen=True)
class Words(Whole):
    """The most common words, punctuation marks and spaces of a text; number 0 replaces all others."""

    words: tuple[str, ...]

    @staticmethod
    def of(text: str | Iterable[str], most: int) -> Words:
        """The ``most`` - 1 most common words of a text, whole or in pieces, and one for all others."""
        counts: Counter[str] = Counter()
        for piece in at_words([text] if isinstance(text, str) else text):
            counts.update(PIECES.findall(piece))
        return Words((RARE, *sorted(counts, key=lambda w: (-counts[w], w))[: most - 1]))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> Tensor:
        return torch.tensor([self.numbers.get(word, 0) for word in PIECES.findall(text)], dtype=torch.long)

    def texts(self, numbers: Iterable[int]) -> Iterator[str]:
        return (self.words[number] for number in numbers)

    def opening(self) -> Tensor:
        return torch.tensor([self.numbers.get("\n", 0)])

    def dump(self) -> list[str]:
        return list(self.words)


class Subwords(Whole):
    """Byte-pair encoding (Sennrich, Haddow and Birch 2016), by the library tokenizers."""

    def __init__(self, stored: str) -> None:
        self.stored, self.tokenizer = stored, _tokenizers().Tokenizer.from_str(stored)

    @staticmethod
    def of(text: str | Iterable[str], most: int) -> Subwords:
        """At most ``most`` subwords, learned from a text, whole or in pieces."""
        library = _tokenizers()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(vocab_size=most, initial_alphabet=alphabet, show_progress=False)
        pieces = [text] if isinstance(text, str) else text
        tokenizer.train_from_iterator((part for line in with_ends(pieces) for part in line.splitlines(True)), trainer)
        return Subwords(tokenizer.to_str())

    def __len__(self) -> int:
        count: int = self.tokenizer.get_vocab_size()
        return count

    def encode(self, text: str) -> Tensor:
        return torch.tensor(self.tokenizer.encode(text).ids, dtype=torch.long)

    def texts(self, numbers: Iterable[int]) -> Iterator[str]:
        """The text, character by character, as soon as the bytes of each are complete."""
        held: list[int] = []
        for number in numbers:
            held.append(number)
            text = self.tokenizer.decode(held)
            if not text.endswith(RARE) or len(held) > 8:
                held = []
                yield text

    def opening(self) -> Tensor:
        return self.encode("\n")[:1]

    def dump(self) -> str:
        return self.stored


def units_of(unit: str, characters: str, learned: Callable[[], Iterable[str]], most: int) -> Units:
    """The units of a text: the characters of all of it; words and subwords of its training part alone, so that nothing
    about the test data is known.

    Args:
        unit: 'character', 'byte', 'word' or 'subword'.
        characters: of the whole text, sorted.
        learned: gives the training part, in pieces.
        most: the largest number of words or subwords.
    """
    if unit == "character":
        return Vocabulary(characters)
    return Bytes() if unit == "byte" else Words.of(learned(), most) if unit == "word" else Subwords.of(learned(), most)


def stored_units(unit: str, stored: Any) -> Units:
    """The units that ``dump`` has stored.

    Raises:
        UsageError: the stored value is something else.
    """
    if unit == "character" and isinstance(stored, str) and stored and sorted(set(stored)) == list(stored):
        return Vocabulary(stored)
    if unit == "byte":
        return Bytes()
    if unit == "word" and isinstance(stored, list) and stored and all(isinstance(word, str) for word in stored):
        return Words(tuple(stored))
    if unit == "subword" and isinstance(stored, str):
        try:
            return Subwords(stored)
        except DataError:
            raise
        except Exception as problem:  # tokenizers raises bare exceptions for invalid input
            raise UsageError(f"'vocabulary' is not a stored vocabulary of subwords ({problem})") from None
    raise UsageError(f"'vocabulary' must be a list of different {unit}s, as it was stored")


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise DataError("subwords need the library tokenizers: pip install 'unrolled[text]'") from None
    return tokenizers
