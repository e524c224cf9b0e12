"""The command ``unrolled demo``: a network learns to write, with explanations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, command_line

if TYPE_CHECKING:
    from ..data.language import Text
    from ..nn.model import SequenceModel
    from .learn import Ended

PROMPT, MARGIN = "The ", "      │ "


def demo(*, seconds: float = 60.0, seed: int = 0, out: Path | None = None, json: bool = False) -> int:
    """Watch a network learn to write, in about a minute.

    Args:
        seconds: Duration of the training.
        seed: Seed of the initial parameters.
        out: Folder for the model, the log and the pictures (default: runs/demo-gru).
        json: Print the log as JSON lines.
    """
    from ..cells import gru
    from ..data.language import Language
    from ..files.write import write_text
    from ..nn.model import SequenceModel
    from ..run.config import description
    from ..run.folder import RunFolder, free_folder
    from ..run.run import Run
    from ..run.spec import Spec
    from ..run.trained import initial_model
    from ..train.loop import Training
    from .learn import learn

    text = python_reference()
    training = {"minutes": seconds / 60, "rate": RATE}
    reading = {"window": WINDOW, "seed": seed}
    spec = Spec.read("language", {"model": MODEL, "training": training, "reading": reading})
    with RunFolder(out or free_folder(Path("runs"), "demo-gru")) as folder:
        write_text(folder.path / "text.txt", text)
        data = Language.learn(folder.path / "text.txt", spec.data, spec.reading)
        model = initial_model(spec, gru, data)
        assert isinstance(model, SequenceModel)
        run = Run(folder, Training(model, data, spec.training))
        run.begin(gru, description(spec, data, model))
        if not json:
            _explain(data, model, seconds)
        ended = learn(run, for_programs=json)
    if not json:
        _conclude(data, model, ended, folder.path)
    return ended.code


MODEL = {"hidden": 128, "embedding": 0}  # so that its equations are all that it is
WINDOW, RATE = 32, 1.2e-2  # short windows and a high learning rate, to learn much within a minute


def python_reference() -> str:
    """The prose of the language reference that is part of Python, without tables, grammar and code: each paragraph
    once, on one line.

    Raises:
        DataError: this installation of Python does not include it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            "this Python lacks the language reference (pydoc_data.topics) that the demo learns from. "
            f"Use a complete Python, or train on your own text: {command_line('train', 'my.txt', '--minutes', 1)}"
        ) from None
    paragraphs = (" ".join(text.split()) for name in sorted(topics) for text in re.split(r"\n\s*\n", topics[name]))
    kept = dict.fromkeys(re.sub(r"^(\*|-|\d+\.) ", "", text) for text in paragraphs if _is_prose(text))
    return "\n".join(kept) + "\n"


def _is_prose(text: str) -> bool:
    """Whether a paragraph is whole sentences, of letters for the most part."""
    letters = sum(character.isalpha() or character in " ,.'" for character in text)
    return len(text) > 80 and text.endswith(".") and letters > 0.93 * len(text)


def _explain(data: Text, model: SequenceModel, seconds: float) -> None:
    from .learn import parameters
    from .screen import command, out

    sizes, net = data.sizes(), model.first
    out("\n  [bold]A network learns to write[/]\n")
    out("  It reads a text one character at a time, and after each one it predicts the")
    out(f"  next. Its memory is a state h(t) of {net.sizes['h']} numbers, which the same equations")
    out("  update at every step:\n")
    for line in model.circuit.equations().splitlines():
        out(f"      [cyan]{line}[/]")
    out("\n  These lines are all that anyone wrote. The gradient (back-propagation through")
    out("  time) is derived from them. To print it:\n")
    command("equations", "gru", "--adjoint", indent=6)
    out()
    out("  text       the language reference that is part of this Python:")
    out(f"             {sizes['characters']:,} characters, {sizes['vocabulary']} different ones")
    out(f"  model      {parameters(model):,} parameters, run by the engine '{net.engine}'")
    out(f"  training   {seconds:.0f} seconds, on the first 90 % of the text")
    out("  test       on the last 5 %, which the network never sees during training\n")


def _conclude(data: Text, model: SequenceModel, ended: Ended, run: Path) -> None:
    from rich.markup import escape

    from ..data.writing import write
    from ..engines.threads import processor_threads
    from .screen import command, out

    vocabulary, result = data.kind.vocabulary, ended.result or data.result(model)
    words = "Stopped" if ended.code else "Done"
    out(f"  {words} after {ended.updates:,} updates in {ended.seconds:.0f} seconds.\n")
    out("  How well does it predict text that it has never seen? In bits per character,")
    out("  where less is better:\n")
    longest = max(result.values())
    names = {"by_frequency_alone": "letter frequencies alone", "by_5_grams": "a table of 5-letter pieces"}
    names["bits_per_character"] = "this network"
    for key, name in names.items():
        bits = result[key]
        out(f"      {name:<27} [bold]{bits:5.3f}[/]  [cyan]{'━' * round(30 * bits / longest)}[/]")
    out(f'\n  What it writes now, starting from "{PROMPT}":\n')
    numbers = write(model, vocabulary.encode(PROMPT), 360, temperature=0.6)
    with processor_threads():
        _stream(PROMPT, vocabulary.texts(numbers))
    out("\n  It writes letter by letter: nobody told it what a word is.\n")
    out(f"  Everything is saved in [bold]{escape(str(run))}[/]:\n")
    for name, what in FILES.items():
        out(f"      {name:<20} {what}")
    out("\n  Try next:\n")
    for example in (
        ("sample", run, "--prompt", "class "),
        ("evaluate", run, run / "text.txt"),
        ("train", "my.txt", "--cell", "gru", "--minutes", "1"),
        ("look", run, "--data", run / "text.txt"),
        ("cells",),
        ("draw", "lstm", "--steps", "4", "--out", "lstm.svg"),
    ):
        command(*example, indent=6)
    out()


FILES = {
    "circuit.svg": "the network drawn as a circuit",
    "unfolded.svg": "the same network unfolded in time",
    "equations.txt, .tex": "its equations, and those of its gradient",
    "checkpoints/": "what it has learned; training can resume from here",
    "config.json, .toml": "the model and its options",
    "log.jsonl": "the progress of the training",
    "training.svg": "the same as a picture",
    "text.txt": "the text",
}


def _stream(prompt: str, characters: Iterable[str]) -> None:
    """Print text as it is generated, indented, with long lines broken between words."""
    print(MARGIN + prompt, end="", flush=True)
    column = len(prompt)
    for character in characters:
        breaks = character == "\n" or (character == " " and column > 60)
        print("\n" + MARGIN if breaks else character, end="", flush=True)
        column = 0 if breaks else column + 1
    print()
