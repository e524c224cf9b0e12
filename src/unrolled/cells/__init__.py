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
from .luong import luong
from .mgu import mgu
from .mingru import mingru
from .mlstm import mlstm
from .neural_stack import neural_stack
from .peephole_lstm import peephole_lstm
from .rg_lru import rg_lru
from .rnn import rnn
from .slstm import slstm

ALL = {
    cell.name: cell
    for cell in (
        elman, jordan, rnn, irnn, lstm, lstm_projected, peephole_lstm, layernorm_lstm, gru, gru_reset_before, mgu,
        indrnn, leaky, mingru, rg_lru, slstm, mlstm, fast_weights, delta, neural_stack, bahdanau, luong, autonomous,
        es_rnn,
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
    "luong",
    "mgu",
    "mingru",
    "mlstm",
    "neural_stack",
    "peephole_lstm",
    "rg_lru",
    "rnn",
    "slstm",
]
