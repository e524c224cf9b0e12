"""A page that shows where a trained model of pairs looks in the source while it writes each symbol of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import torch
from torch import Tensor

from ..data.pairs.kind import Pairs
from ..data.pairs.rows import Row, read_sources
from ..data.pairs.symbols import parted
from ..errors import DataError, UsageError
from ..nn.encoder_decoder import EncoderDecoder
from ..run.trained import Trained
from .data_page import STYLE, DataPage

SHOWN = 12  # pairs on a page
CELLS = "td.w{min-width:1.4em;height:1.4em;text-align:center;border:1px solid #8883;padding:0}th{font-weight:400}"


def look_at_attention(trained: Trained, data: Path | None, first: int = 1) -> DataPage:
    """A page with a picture per pair: one row per symbol that the model writes, one column per symbol of the source,
    the darker the more the decoder looks there.

    >>> look_at_attention(Trained.load(Path("runs/words-gru")), Path("words.tsv")).save("words.html")

    Args:
        trained: a model of pairs.
        data: a file of pairs, or of sources alone.
        first: the first row that is shown, from 1.

    Raises:
        DataError: the file cannot be read, or has fewer rows.
        UsageError: no data, or a decoder without attention.
    """
    kind, model = trained.kind, trained.model
    assert isinstance(kind, Pairs) and isinstance(model, EncoderDecoder)
    if data is None:
        raise UsageError(f"name what the model of '{trained.run}' reads: --data FILE, with a source in each line")
    rows = read_sources(data, bool(kind.features.known))[first - 1 : first - 1 + SHOWN]
    if not rows:
        raise DataError(f"'{data}' has fewer than {first} rows")
    title = f"{trained.run.name}: where it looks while it writes"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    body = "".join(_picture(kind, model, row) for row in rows)
    note = f"rows {first:,} to {first + len(rows) - 1:,} of {data.name}: written symbols below, the source across"
    page = f"{head}<style>{STYLE}{CELLS}</style><h1>{escape(title)}</h1><p>{escape(note)}</p>{body}</html>\n"
    return DataPage(page, [note])


def _picture(kind: Pairs, model: EncoderDecoder, row: Row) -> str:
    """The picture of one source."""
    pair = kind.pair(row)
    (symbols, log_probability), *_ = kind.written(model, [pair])[0]
    with torch.no_grad():
        weights = model.attention(pair.x[None], symbols[None])[0]
    read = [*parted("feature", row.features), *parted(kind.source.unit, row.source)]
    written = [*(kind.target.decode([n]) for n in symbols.tolist()), "end"]
    right = f", in the file: {row.target}" if row.target else ""
    answer = f"{row.source} → {kind.target.decode(symbols.tolist())}{right}; log-probability {log_probability:.2f}"
    return f"<h2>{escape(answer)}</h2>{_grid(read, written, weights)}"


def _grid(read: Sequence[str], written: Sequence[str], weights: Tensor) -> str:
    """Weights (written, read) as a table of shaded cells."""
    head = "".join(f"<th>{escape(symbol)}</th>" for symbol in read)
    lines = [
        f"<tr><th>{escape(symbol)}</th>"
        + "".join(f'<td class="w" title="{w:.3f}" style="background:rgba(37,99,235,{w:.3f})"></td>' for w in row)
        + "</tr>"
        for symbol, row in zip(written, weights.tolist(), strict=True)
    ]
    return f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"
