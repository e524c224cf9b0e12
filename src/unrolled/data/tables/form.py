"""How a table is written in its file: the options that decide where the file does not."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UsageError, check_choice

DELIMITERS = {",": ",", ";": ";", "|": "|", "\t": "\t", "tab": "\t", " ": " ", "blank": " "}
DATES = ("dmy", "mdy", "ymd")
LAYOUTS = ("long", "wide")


@dataclass(frozen=True)
class Form:
    """How a table is written. Each option is found out by default.

    >>> Form(delimiter="tab").separator
    '\\t'

    delimiter: what separates cells: , ; | tab blank.
    decimal: the decimal mark of numbers, '.' or ','.
    dates: the order of day, month and year in dates of numbers: dmy, mdy or ymd.
    encoding: of the text, such as cp1252 or latin-1.
    header: the line that has the names of the columns; 0 if no line has. By default the first line.
    footer: the number of rows at the end to leave out.
    empty: words that mean a missing number, besides the usual ones such as NA and ?.
    sheet: of an Excel file.
    layout: 'long' if each row is a step, 'wide' if each row is a series.

    Raises:
        UsageError: a value that is not known.
    """

    delimiter: str = ""
    decimal: str = ""
    dates: str = ""
    encoding: str = ""
    header: int | None = None
    footer: int = 0
    empty: list[str] | None = None
    sheet: str = ""
    layout: str = ""

    def __post_init__(self) -> None:
        for name, known in (("delimiter", DELIMITERS), ("decimal", (".", ",")), ("dates", DATES), ("layout", LAYOUTS)):
            if value := getattr(self, name):
                check_choice(f"data.{name}", value, known)
        for name in ("header", "footer"):
            if (getattr(self, name) or 0) < 0:
                raise UsageError(f"data.{name} must be a whole number from 0, got {getattr(self, name)}")

    @property
    def separator(self) -> str:
        """The delimiter as a character; '' to find it out."""
        return DELIMITERS.get(self.delimiter, "")
