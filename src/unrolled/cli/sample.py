"""unrolled sample"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..run.trained import Trained


def sample(
    run: Path,
    /,
    *,
    prompt: str = "",
    length: int = 400,
    temperature: float = 0.8,
    top_p: float = 1.0,
    seed: int = 0,
    weights: Literal["float32", "bf16", "int8"] = "float32",
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Generate text or music with a trained model, one character or frame at a time.

    Parameters
    ----------
    run
        Run folder of the trained model.
    prompt
        Text that the model continues; for music, a MIDI file.
    length
        Number of characters, or frames of music, to generate.
    temperature
        Below 1, likely characters are preferred; above 1, the text is more varied; 0 always takes the most likely one.
    top_p
        Text only: sample from the most likely characters that together have this probability.
    seed
        Random seed. The same seed gives the same text.
    weights
        Numbers of the weights: as trained, or rounded to 16 or 8 bits, which single steps read faster.
    out
        Music only: the MIDI file to write (default: sample.mid).
    json
        Print one JSON object.
    """
    import math

    from ..data.music import Music
    from ..data.writing import write
    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from ..run.trained import Trained, language_of
    from . import screen

    if length < 1:
        raise UsageError(f"--length must be a whole number from 1, got {length}")
    if not 0 <= temperature < math.inf:
        raise UsageError(f"--temperature must be 0 or more, got {temperature:g}")
    if not 0 < top_p <= 1:
        raise UsageError(f"--top-p must be above 0 and at most 1, got {top_p:g}")
    trained = Trained.load(run).with_weights(weights)
    if isinstance(trained.kind, Music):
        if top_p != 1:
            raise UsageError("--top-p is for texts; the keys of a frame are drawn one by one")
        play(trained, Path(prompt) if prompt else None, length, temperature, seed, out or Path("sample.mid"), json)
        return
    if out is not None:
        raise UsageError("--out is for music; the text is printed")
    model, kind = language_of(trained)
    start = kind.encode(prompt) if prompt else kind.opening()
    numbers = write(model, start, length, temperature, seed, top_p, kind.border)
    characters = kind.vocabulary.texts(numbers)
    with processor_threads():
        if json:
            text = "".join(characters)
            print(screen.as_json({"prompt": prompt, "text": text, "temperature": temperature, "seed": seed}))
            return
        print(prompt, end="", flush=True)
        for character in characters:
            print(character, end="", flush=True)
        print()


def play(
    trained: Trained, prompt: Path | None, length: int, temperature: float, seed: int, out: Path, json: bool
) -> None:
    """Write a piece of music as a MIDI file."""
    import torch

    from ..data import writing
    from ..data.midi import LOWEST, TEMPO, save_midi
    from ..data.music import Music
    from ..engines.threads import processor_threads
    from . import screen

    kind = trained.kind
    assert isinstance(kind, Music)
    start = torch.zeros(1, kind.keys) if prompt is None else kind.roll(prompt)
    with processor_threads():
        frames = writing.play(trained.layers, start, length, temperature, seed)
    save_midi(out, torch.cat([start, frames]) if prompt else frames, kind.options.step)
    if json:
        keys = [(row.nonzero().flatten() + LOWEST).tolist() for row in frames]
        print(screen.as_json({"out": str(out), "notes": keys, "temperature": temperature, "seed": seed}))
        return
    minutes, seconds = divmod(round((length + len(start)) * kind.options.step * 60 / TEMPO), 60)
    lasts = f"{minutes}:{seconds:02} at {TEMPO:.0f} quarter notes per minute"
    screen.plain(f"{out}: {length:,} frames with {int(frames.sum()):,} keys; with the prompt it lasts {lasts}")
