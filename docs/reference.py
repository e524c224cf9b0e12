"""Writes the reference of the documentation site from the sources, when a build begins: every public name, every
command, every option of a TOML file, and the messages of errors.

Nothing that it writes is committed.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import unrolled
from unrolled.circuits.circuit import Circuit
from unrolled.cli.app import app
from unrolled.data.defaults import BY_TASK
from unrolled.data.kinds import KINDS
from unrolled.data.reading import Reading
from unrolled.run.spec import ModelOptions
from unrolled.train.settings import Settings

SRC = Path(unrolled.__file__).parent
GOLDEN = Path(__file__).parent.parent / "tests" / "golden"

# The pages of the API, in the order of the table of contents: title, and the rooms whose names are on the page.
PAGES = {
    "circuits": ("Circuits and their language", ("circuits", "graph", "transform", "plan")),
    "cells": ("Cells", ("cells",)),
    "networks": ("Networks", ("nn", "engines", "export")),
    "sequences": ("Sequences and losses", ("sequence",)),
    "sources": ("Sequences on disk", ("sources",)),
    "training": ("Training", ("train",)),
    "pictures": ("Pictures, measurements and diagnosis", ("draw", "look", "diagnosis")),
    "testing": ("Tests of gradients", ("testing",)),
    "errors": ("Errors, and the command line from Python", ("errors", "cli")),
}
# What public values are that are neither functions nor classes nor circuits.
VALUES = {
    "unrolled.cells.ALL": "All published cells by name.",
    "unrolled.testing.TOLERANCES": "The largest relative error that is allowed, by what is compared.",
}
# Modules without a list of names, all of whose functions and classes are public.
MODULES = ("errors", "losses", "nn.interop", "train.loop", "train.settings", "train.schedule")


class Entry(NamedTuple):
    """A public name: the path by which users reach it, its value, and the room that defines it."""

    path: str
    value: object
    room: str


def room_of(value: object, path: str) -> str:
    """The room of the package that defines a value; '' for values of other packages."""
    home = "unrolled.cells." if isinstance(value, Circuit) else getattr(value, "__module__", path)
    parts = home.split(".")
    return parts[1] if parts[0] == "unrolled" and len(parts) > 1 else ""


def listed(module: ModuleType, names: list[str]) -> Iterator[tuple[str, object]]:
    """The values that a module lists, with their paths. A module that it lists has an entry for each of its names."""
    for name in names:
        value = getattr(module, name)
        if not inspect.ismodule(value):
            yield f"{module.__name__}.{name}", value


def returned(value: object) -> Iterator[tuple[str, object]]:
    """The classes of the package that a function, or a method of a class, returns. Users hold them, too."""
    functions = [m for n, m in vars(value).items() if n[0] != "_"] if inspect.isclass(value) else [value]
    for function in functions:
        function = getattr(function, "fget", getattr(function, "__func__", function))
        for name in re.findall(r"\b[A-Z]\w+", str(getattr(function, "__annotations__", {}).get("return", ""))):
            found = getattr(function, "__globals__", {}).get(name)
            if inspect.isclass(found) and room_of(found, ""):
                yield f"{found.__module__}.{found.__qualname__}", found


def entries() -> list[Entry]:
    """Every public name once, by its shortest path: the names of the package, of its rooms, and the classes that their
    functions return."""
    front = [name for name in dir(unrolled) if not name.startswith("_")]
    queue = list(listed(unrolled, front))
    for init in sorted(SRC.glob("*/__init__.py")):
        room = importlib.import_module(f"unrolled.{init.parent.name}")
        queue += listed(room, getattr(room, "__all__", []))
    for name in MODULES:
        module = pkgutil.resolve_name(f"unrolled.{name}")
        own = [n for n, v in vars(module).items() if n[0] != "_" and getattr(v, "__module__", "") == module.__name__]
        queue += [(f"unrolled.{name}.{n}", getattr(module, n)) for n in own]
    found: dict[int, Entry] = {}
    for path, value in queue:
        if id(value) not in found and room_of(value, path):
            found[id(value)] = Entry(path, value, room_of(value, path))
            queue += returned(value)
    return list(found.values())


def described(entry: Entry) -> str:
    """The directive for a name."""
    if isinstance(entry.value, Circuit):
        about = textwrap.indent(inspect.getdoc(entry.value) or "", "   ")
        equations = textwrap.indent(entry.value.equations(), "      ")
        picture = f"   :doc:`Picture and source <../gallery>`. Source: ``{entry.value.name}.py`` in ``unrolled/cells``."
        return f".. py:data:: {entry.path}\n\n{about}\n\n   .. code-block:: text\n\n{equations}\n\n{picture}\n"
    if inspect.isclass(entry.value):
        return f".. autoclass:: {entry.path}\n   :members:\n"
    if not callable(entry.value):
        return f".. py:data:: {entry.path}\n\n   {VALUES[entry.path]}\n"
    return f".. autofunction:: {entry.path}\n"


def api(title: str, rooms: tuple[str, ...], of: list[Entry]) -> str:
    """A page of the API."""
    parts = [f"{title}\n{'=' * len(title)}\n"]
    for room in rooms:
        here = [entry for entry in of if entry.room == room]
        if here:
            about = inspect.getdoc(importlib.import_module(f"unrolled.{room}")) or ""
            parts += [about + "\n", *map(described, here)]
    return "\n".join(parts)


def commands() -> str:
    """The page of the command line, from the parsers of the commands."""
    text: str = app.generate_docs(heading_level=1)
    text = re.sub(r"^## Table of Contents\n\n(?:- .*\n)+\n", "", text, flags=re.M)
    return text.replace("# unrolled\n", "# Command line\n", 1).replace("```console", "```text")


def meanings(options: type) -> dict[str, str]:
    """What each key of a dataclass of options means, from the lines 'key, key: text' of its docstrings.

    >>> meanings(Reading)["seed"]
    'of the initial parameters and of the order of the data.'
    """
    found: dict[str, str] = {}
    for cls in options.__mro__[:-1]:
        for names, text in re.findall(r"^((?:\w+, )*\w+): ((?:.*\n?)(?: {4}.*\n?)*)", inspect.getdoc(cls) or "", re.M):
            for name in names.split(", "):
                found.setdefault(name, " ".join(text.split()))
    return found


def default(field: Any, section: str) -> str:
    """The default of a key as it is written in TOML, and the tasks that have another one."""
    value = field.default if field.default is not MISSING else field.default_factory()
    plain = (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')
    )
    others = [f"{t}: `{b[section][field.name]}`" for t, b in BY_TASK.items() if field.name in b.get(section, {})]
    return "; ".join([f"`{plain}`", *others])


def section(heading: str, name: str, options: type) -> str:
    """A table of the keys of a section."""
    about = {key: text.replace("|", "\\|") for key, text in meanings(options).items()}
    rows = [
        f"| `{f.name}` | {str(f.type).replace('|', 'or')} | {default(f, name)} | {about[f.name]} |"
        for f in fields(options)
    ]
    return f"\n## {heading}\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"


def options() -> str:
    """The page of the options of a training, from the dataclasses that hold them."""
    text = "# Options of a training\n\nThe keys of a TOML file for `unrolled train --config FILE`, and of\n"
    text += "`--set SECTION.KEY=VALUE`. The run folder has all of them in `config.toml`. A default that is\n"
    text += "different for a task is shown after the name of the task.\n"
    text += section("`[model]`", "model", ModelOptions)
    text += section("`[reading]`", "reading", Reading) + section("`[training]`", "training", Settings)
    for kind in KINDS.values():
        text += section(f"`[data]` of the task `{kind.name}`", "data", kind.Options)
    return text


def messages() -> str:
    """The page of error messages, from the files that the tests compare with."""
    text = "# Messages\n\nThe messages of errors, as the tests compare them. Each says where, what was expected,\n"
    text += "what was given, and what to do. Names in capitals, such as FOLDER, replace parts that differ.\n"
    for file in sorted(GOLDEN.glob("*errors.txt")):
        about = file.stem.removesuffix("errors").rstrip("_") or "circuits and calls"
        text += f"\n## {about.capitalize()}\n\n```text\n{file.read_text(encoding='utf-8').strip()}\n```\n"
    return text


def pages() -> dict[str, str]:
    """All pages of the reference, by file name."""
    found = entries()
    api_pages = {f"{name}.rst": api(title, rooms, found) for name, (title, rooms) in PAGES.items()}
    return {**api_pages, "commands.md": commands(), "options.md": options(), "messages.md": messages()}


def write(folder: Path) -> None:
    """Write the pages that have changed, so that Sphinx reads only these again."""
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8", newline="\n")
