"""What a text can be predicted by without a network."""

from __future__ import annotations

import math

import pytest
import torch

from unrolled.data.ngrams import gzip_bits, ngram_bits


def by_hand(train: list[int], test: list[int], size: int, longest: int) -> float:
    """Witten and Bell's interpolation, written with dictionaries."""
    followers: dict[tuple, dict[int, int]] = {}
    for length in range(longest):
        for end in range(length, len(train)):
            past = tuple(train[end - length : end])
            counts = followers.setdefault(past, {})
            counts[train[end]] = counts.get(train[end], 0) + 1
    bits, both = [], train + test
    for end in range(len(train) + 1, len(both)):
        p = 1 / size
        for length in range(longest):
            counts = followers.get(tuple(both[end - length : end]), {})
            if counts:
                p = (counts.get(both[end], 0) + len(counts) * p) / (sum(counts.values()) + len(counts))
        bits.append(-math.log2(p))
    return sum(bits) / len(bits)


@pytest.mark.parametrize("longest", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_ngrams_are_those_counted_by_hand(seed: int, longest: int):
    generator = torch.Generator().manual_seed(seed)
    size = 3 + seed
    train, test = (torch.randint(size, (n,), generator=generator) // 2 for n in (80, 20))
    for parts in ([test], test.split(3), test.split(1)):
        found = ngram_bits(train, parts, size, longest)
        assert found == pytest.approx(by_hand(train.tolist(), test.tolist(), size, longest), abs=1e-12)


def test_what_repeats_is_known_and_noise_is_not():
    repeated = torch.arange(3000) % 7
    assert ngram_bits(repeated[:2000], [repeated[2000:]], 7) < 1e-3
    noise = torch.randint(8, (20_000,), generator=torch.Generator().manual_seed(0))
    assert ngram_bits(noise[:18_000], noise[18_000:].split(700), 8) == pytest.approx(3, abs=0.7)
    assert math.isnan(ngram_bits(noise, [noise[:1]], 8))


def test_gzip_knows_the_training_text():
    text = "".join(chr(97 + int(c)) for c in torch.randint(26, (3000,), generator=torch.Generator().manual_seed(0)))
    assert gzip_bits(text, [text[:99], text[99:]]) / len(text) < 0.3 < 4.5 < gzip_bits("", [text]) / len(text) < 5.2
    assert gzip_bits("ä" * 40_000, ["é\udc80" * 10]) > 0, "any text"
