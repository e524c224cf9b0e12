"""Published recurrences, one file each: equations and citation."""

from .autonomous import autonomous
from .elman import elman
from .es_rnn import es_rnn
from .gru import gru
from .gru_reset_before import gru_reset_before
from .indrnn import indrnn
from .irnn import irnn
from .jordan import jordan
from .layernorm_lstm import layernorm_lstm
from .leaky import leaky
from .lstm import lstm
from .lstm_projected import lstm_projected
from .mgu import mgu
from .peephole_lstm import peephole_lstm
from .rnn import rnn

ALL = {
    cell.name: cell
    for cell in (
        elman, jordan, rnn, irnn, lstm, lstm_projected, peephole_lstm, layernorm_lstm, gru, gru_reset_before, mgu,
        indrnn, leaky, autonomous, es_rnn,
    )
}  # fmt: skip

__all__ = [
    "ALL",
    "autonomous",
    "elman",
    "es_rnn",
    "gru",
    "gru_reset_before",
    "indrnn",
    "irnn",
    "jordan",
    "layernorm_lstm",
    "leaky",
    "lstm",
    "lstm_projected",
    "mgu",
    "peephole_lstm",
    "rnn",
]
