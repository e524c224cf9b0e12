"""Numbers and texts as C."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy
from numpy.typing import NDArray

WIDTH = 110


def floats(values: NDArray[numpy.float32], name: str) -> list[str]:
    """Each number as the shortest decimal that is read back as the same float."""
    special = {"inf": f"{name.upper()}_INFINITY", "-inf": f"-{name.upper()}_INFINITY"}
    special["nan"] = f"({special['inf']} - {special['inf']})"
    return [special.get(text) or f"{text}f" for text in values.astype(numpy.float32).ravel().astype(str)]


def doubles(values: Iterable[float]) -> list[str]:
    """Each number with ten digits."""
    return [
        f"{value:.10g}" if "." in f"{value:.10g}" or "e" in f"{value:.10g}" else f"{value:.0f}.0" for value in values
    ]


def array(declaration: str, numbers: Iterable[str]) -> Iterator[str]:
    """A constant array, some numbers to a line.

    >>> list(array("static const float b[2]", ["1.0f", "2.0f"]))
    ['static const float b[2] = {', '    1.0f, 2.0f,', '};']
    """
    yield f"{declaration} = {{"
    line = "   "
    for number in numbers:
        if len(line) + len(number) + 2 > WIDTH:
            yield line
            line = "   "
        line += f" {number},"
    yield line
    yield "};"


def string(text: str) -> str:
    """A string of C in UTF-8: every byte that is not printable ASCII as three octal digits.

    >>> print(string('a"é'))
    "a\\"\\303\\251"
    """
    return '"' + "".join(map(_character, text.encode("utf-8", "surrogatepass"))) + '"'


def length(text: str) -> int:
    """The number of bytes of a text in UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


KNOWN = {ord("\n"): "\\n", ord("\t"): "\\t", ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?"}


def _character(byte: int) -> str:
    return KNOWN.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")


def comment(text: str) -> str:
    """A text that can stand in a comment."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("\\\n", "\\ \n").replace("??/", "? ?/")
