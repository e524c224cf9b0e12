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
    """Generate text with a trained model, one character at a time.

    Parameters
    ----------
    run
        Run folder of the trained model.
    prompt
        Text that the model continues.
    length
        Number of characters to generate.
    temperature
        Below 1, likely characters are preferred; above 1, the text is more varied; 0 always takes the most likely one.
    top_p
        Sample only from the most likely characters that together have this probability.
    seed
        Random seed. The same seed gives the same text.
    json
        Print one JSON object.
    """
    import math

    from ..data.writing import write
    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from ..run.trained import load_language
    from . import screen

    if length < 1:
        raise UsageError(f"--length must be a whole number from 1, got {length}")
    if not 0 <= temperature < math.inf:
        raise UsageError(f"--temperature must be 0 or more, got {temperature:g}")
    if not 0 < top_p <= 1:
        raise UsageError(f"--top-p must be above 0 and at most 1, got {top_p:g}")
    model, kind = load_language(run)
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
