"""The colours: one per role, for light and dark backgrounds. The hues follow Okabe and Ito (2008), so that colour-blind
people can distinguish them. The roles also differ in lightness, so that they differ in greyscale."""

from __future__ import annotations

# role: (on a light background, on a dark background)
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#16181c"),
    "ink": ("#1a1a1a", "#f4f4f4"),
    "line": ("#3a3a3a", "#c8c8c8"),
    "quiet": ("#6b6b6b", "#a0a0a0"),
    "block": ("#e9e9e9", "#34373d"),
    "delay": ("#000000", "#ffffff"),
    "input": ("#e3f0fa", "#153247"),
    "fixed": ("#5f95dc", "#0a0f52"),
    "output": ("#b9e3d0", "#0f5140"),
    "state": ("#f3b94f", "#74510f"),
    "loss": ("#cf93b8", "#99587f"),
    "named": ("#f4f4f4", "#2b2e34"),
    "parameter": ("#00548a", "#7cc4f2"),
    "gradient": ("#b84a00", "#ff9a57"),
}
# the words in the legend
ROLES = {"input": "input", "fixed": "input fixed in time", "state": "state", "output": "output", "loss": "loss"}


def variables(dark: bool) -> str:
    """The colours as CSS custom properties."""
    return "".join(f"--{name}:{pair[dark]};" for name, pair in COLOURS.items())
