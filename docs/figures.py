"""Draws every figure of the documentation, and writes the page of all cells (`make figures`).

The documentation draws its own figures: this script runs every Python snippet of README and docs, page by page in an
empty folder. The SVG files that the snippets save there are the figures. The tests do the same and compare.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import linecache
import re
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parent
FIGURES = DOCS / "figures"
GALLERY = DOCS / "gallery.md"
PAGES = [DOCS.parent / "README.md", *sorted({*DOCS.glob("*.md"), GALLERY})]
WIDTH = 100  # of all Markdown
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)

OPENING = """# Every cell

All published cells. For each, the same program draws the circuit diagram and the unfolded graph
from the equations. A black square is a delay of one step. Blue letters are parameters, which all
steps share. Draw your own cell in the same way with `unrolled draw FILE.py:NAME --out mine.svg`, or
explore it with `unrolled look FILE.py:NAME`.

```python
from unrolled import cells

for name, cell in cells.ALL.items():
    gated = len(cell.equations().splitlines()) > 3
    cell.draw(2 if gated else 3).save(f"cell_{name}.svg")  # fewer steps of wide cells, so that letters stay large
```
"""

SECTION = """
## {name}

{about}

![{alt}](figures/cell_{name}.svg)

```python
print(cells.{name}.equations())
```

```text
{equations}
```

{reference}
"""


def gallery() -> str:
    """The page of all cells."""
    from unrolled.cells import ALL

    sections = [
        SECTION.format(
            name=cell.name,
            about=inspect.getdoc(cell),
            alt=f"The circuit {cell.name}, and its graph unfolded in time",
            equations=cell.equations(),
            reference=textwrap.fill(
                inspect.getdoc(inspect.getmodule(cell.function)) or "", WIDTH, break_on_hyphens=False
            ),
        )
        for cell in ALL.values()
    ]
    return "".join([OPENING, *sections])


def run(page: Path) -> Iterator[tuple[str, str]]:
    """Run the snippets of a page in the current folder. Yields every text block, and what the code before it
    printed."""
    scope: dict[str, object] = {}
    printed = ""
    for number, (language, code) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
        if language == "python":
            file = f"{page.name}, block {number}"
            linecache.cache[file] = (len(code), None, code.splitlines(True), file)
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, file, "exec"), scope)
            printed = out.getvalue()
        elif language == "text":
            yield code, printed


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    GALLERY.write_text(gallery(), encoding="utf-8", newline="\n")
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for _ in run(page):
                pass
            for drawn in Path(folder).glob("*.svg"):
                (FIGURES / drawn.name).write_bytes(drawn.read_bytes())
        print(page.relative_to(DOCS.parent))
    used = {name for page in PAGES for name in re.findall(r"figures/([\w.]+)", page.read_text(encoding="utf-8"))}
    for file in sorted(FIGURES.glob("*.svg")):
        if file.name not in used:
            file.unlink()
            print(f"removed {file.name}, which no page shows")


if __name__ == "__main__":
    main()
