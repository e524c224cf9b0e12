"""The functions that a file needs: those of engine c's prelude in portable C, without the C library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from ...engines.c.render import part

CALL = re.compile(r"\b(u_\w+|power_of_two|reduced)\b")  # see names.RESERVED
# what is special to engine c -> C99; in this order
PORTABLE = (
    (r"\b(?:ENTRIES|ROWS)\((\w+), (\w+)\)", r"for (int \1 = 0; \1 < \2; \1++)"),
    (r"\bEACH |\bUNROLL ", ""),
    (r"ADDING\([^)]*\) ", ""),
    (r"\n *PRAGMA\([^\n]*", ""),
    (r"\bROUNDED\(", "("),
    (r"copysignf\((\w+), (\w+)\)", r"(\2 < 0 ? -\1 : \1)"),
    (r"memcpy\(&result, &(\w+), sizeof \w+\);", r"result = u_number(\1);"),
    (r"memcpy\(&(\w+), &(\w+), sizeof \w+\);", r"\1 = u_bits(\2);"),
    (r"\breal\b", "float"),
    (r"\bwhole\b", "uint32_t"),
    (r"\bint64_t\b", "int32_t"),
    (r"\(float\)(\d+\.[\de.+-]*\d)\b(?!f)", r"\1f"),
)


def needed(text: str) -> list[str]:
    """The functions that a text calls, and those that these call, in the order of their definition: C texts."""
    known, wanted = library(), dict[str, None]()
    waiting = CALL.findall(text)
    while waiting:
        name = waiting.pop()
        if name in known and name not in wanted:
            wanted[name] = None
            waiting += CALL.findall(known[name])
    return _in_order([name for name in known if name in wanted], known)


def _in_order(names: Iterable[str], known: dict[str, str]) -> list[str]:
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name not in done and name in known:
            for called in CALL.findall(known[name]):
                if called != name:
                    add(called)
            done[name] = known[name]

    for name in names:
        add(name)
    return list(done.values())


@cache
def library() -> dict[str, str]:
    """All functions by name: C texts, each with the comment before it."""
    own = (Path(__file__).parent / "plain.c").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for text in (part("prelude"), part("functions"), part("matrices"), own):
        text, numbers = _in_single_precision(text)
        for name, function in _functions(_expanded(text)):
            found[name] = portable(function, numbers)
    return found


def portable(text: str, numbers: dict[str, str] | None = None) -> str:
    """C of engine c as C99. ``numbers``: values of its macros."""
    for name, value in (numbers or {}).items():
        text = re.sub(rf"\b{name}\b", value, text)
    for found, replaced in PORTABLE:
        text = re.sub(found, replaced, text)
    return text


def _in_single_precision(text: str) -> tuple[str, dict[str, str]]:
    """The text without what is for double precision, and the numbers that it defines."""
    text = re.sub(r"#ifdef REAL_IS_DOUBLE\n.*?#else\n(.*?)#endif\n", r"\1", text, flags=re.DOTALL)
    defined = re.findall(r"#define (\w+) (-?\(real\)[\d.]+|-?[\d.]+)(?: /\*.*)?$", text, flags=re.MULTILINE)
    return text, dict(defined)


def _expanded(text: str) -> str:
    """The text with the functions that macros define, such as EVERY_ROW(sum), written out."""
    for name, arguments, body in re.findall(r"#define (EVERY_\w+)\(([^)]*)\) *\\\n((?:.*\\\n)*.*\n)", text):
        names = [a.strip() for a in arguments.split(",")]
        body = re.sub(r" *\\\n", "\n", body)

        def written(call: re.Match[str], body: str = body, names: list[str] = names) -> str:
            made = body
            for argument, value in zip(names, call.group(1).split(", ", len(names) - 1), strict=True):
                made = re.sub(rf"(?:##)?\b{argument}\b(?:##)?", value, made)
            return re.sub(r"^    ", "", made, flags=re.MULTILINE)

        text = re.sub(rf"^{name}\((.*)\)$", written, text, flags=re.MULTILINE)
    return text


def _functions(text: str) -> Iterator[tuple[str, str]]:
    """Each function with its name, and the comment directly before it."""
    pattern = r"((?:^/\*(?:(?!\*/).)*\*/\n)?)^(INLINE [\w ]+\b(\w+)\((?:[^{;])*\{(?:[^\n]*\}\n|.*?^\}\n))"
    for comment, function, name in re.findall(pattern, text, flags=re.DOTALL | re.MULTILINE):
        yield name, comment + function
