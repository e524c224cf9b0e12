"""unrolled sample"""

from __future__ import annotations

from pathlib import Path


def sample(
    run: Path,
    /,
    *,
    prompt: str = "",
    length: int = 400,
    temperature: float = 0.8,
    top_p: float = 1.0,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Let a trained model write, one character at a time.

    Parameters
    ----------
    run
        The folder of the trained model.
    prompt
        The text that the model reads first and continues.
    length
        How many characters to write.
    temperature
        Below 1 favours likely characters, above 1 gives more varied text; 0 always takes the likeliest character.
    top_p
        Draw only from the likeliest characters, as few as have this probability together.
    seed
        The same seed gives the same text.
    json
        One JSON object.
    """
    import math

    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from ..tasks.language import write
    from ..tasks.language_run import load
    from . import screen

    if length < 1:
        raise UsageError(f"--length must be a whole number from 1, got {length}")
    if not 0 <= temperature < math.inf:
        raise UsageError(f"--temperature must be 0 or more, got {temperature:g}")
    if not 0 < top_p <= 1:
        raise UsageError(f"--top-p must be above 0 and at most 1, got {top_p:g}")
    trained = load(run)
    start = trained.encode(prompt) if prompt else trained.opening()
    numbers = write(trained.model, start, length, temperature, seed, top_p, trained.border)
    characters = trained.vocabulary.texts(numbers)
    with processor_threads():
        if json:
            text = "".join(characters)
            print(screen.as_json({"prompt": prompt, "text": text, "temperature": temperature, "seed": seed}))
            return
        print(prompt, end="", flush=True)
        for character in characters:
            print(character, end="", flush=True)
        print()
