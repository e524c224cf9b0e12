"""A page as one document, which can be saved and shown in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import ClassVar

from ..files.write import write_text


@dataclass(frozen=True)
class Document:
    """A self-contained page. Notebooks show it.

    Attributes:
        html: the whole document.
    """

    html: str
    height: ClassVar[int] = 900  # in a notebook, in pixels

    def save(self, path: str | Path) -> None:
        """Write the page to a file, FILE.html.

        Raises:
            DataError: the file cannot be written.
        """
        write_text(Path(path), self.html)

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self.html)}" style="width:100%;height:{self.height}px;border:0"></iframe>'
