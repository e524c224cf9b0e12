"""Published recurrences, one file each: equations and citation."""

from .autonomous import autonomous
from .bahdanau import bahdanau
from .delta import delta
from .elman import elman
from .es_rnn import es_rnn
from .fast_weights import fast_weights
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
from .mlstm import mlstm
from .peephole_lstm import peephole_lstm
from .rnn import rnn

ALL = {
    cell.name: cell
    for cell in (
        elman, jordan, rnn, irnn, lstm, lstm_projected, peephole_lstm, layernorm_lstm, gru, gru_reset_before, mgu,
        indrnn, leaky, fast_weights, mlstm, delta, bahdanau, autonomous, es_rnn,
    )
}  # fmt: skip

__all__ = [
    "ALL",
    "autonomous",
    "bahdanau",
    "delta",
    "elman",
    "es_rnn",
    "fast_weights",
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
    "mlstm",
    "peephole_lstm",
    "rnn",
]
