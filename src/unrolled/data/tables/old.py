"""Tables as version 0.1 read them, for models that learned from it."""

from __future__ import annotations

import re
from dataclasses import replace

from .numbers import MISSING
from .sheet import Sheet

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def as_before(sheet: Sheet) -> Sheet:
    """The same table, with whole numbers and booleans in place of their texts: version 0.1 made numbers of keys and
    labels, so that 007 was 7, and ``true`` was True."""
    import pandas

    frame = sheet.frame.copy()
    for name in sheet.names:
        if isinstance(frame[name].dtype, pandas.CategoricalDtype):
            frame[name] = frame[name].astype(frame[name].cat.categories.dtype)
        if not isinstance(frame[name].dtype, pandas.StringDtype):
            continue
        texts = frame[name].where(~frame[name].str.lower().isin(MISSING - {"--", "?", ".", "nil", "#n/a"}), "")
        known = [text for text in texts.unique() if text]
        if known and all(map(WHOLE.fullmatch, known)):
            frame[name] = texts.where(texts != "", None).astype("Int64")
        elif known and all(text.lower() in ("true", "false") for text in known):
            frame[name] = texts.str.lower().map({"true": True, "false": False}).astype("boolean")
    return replace(sheet, frame=frame)
