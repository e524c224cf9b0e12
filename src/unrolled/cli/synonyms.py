"""Names that other programs give to options."""

from __future__ import annotations

import re
from collections.abc import Collection

_LONG = "--updates or --minutes"
_CPU = "This command runs on the CPU. In Python, net.to(device) moves a network"

# The first phrase whose options the command has is shown.
SYNONYMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("lr", "learning-rate", "max-lr", "alpha"), ("--rate",)),
    **dict.fromkeys(
        ("epochs", "num-epochs", "n-epochs", "iterations", "iters", "max-iters", "steps", "max-steps", "num-steps",
         "train-steps", "max-epochs"), (_LONG,)),
    **dict.fromkeys(("time", "max-time", "hours", "duration"), ("--minutes", "--seconds")),
    **dict.fromkeys(("device", "gpu", "gpus", "cuda", "mps", "accelerator"), ("--device", _CPU)),
    **dict.fromkeys(("bs", "train-batch-size", "rows"), ("--batch",)),
    **dict.fromkeys(
        ("hidden-size", "hidden-dim", "hidden-units", "units", "num-hidden", "nhid", "rnn-size", "size", "dim"),
        ("--hidden",)),
    **dict.fromkeys(("num-layers", "n-layers", "nlayers", "depth"), ("--layers",)),
    **dict.fromkeys(("model", "arch", "rnn", "rnn-type", "architecture", "type"), ("--cell",)),
    **dict.fromkeys(
        ("output", "o", "output-dir", "outdir", "save", "save-dir", "save-path", "run-dir", "logdir", "output-file",
         "output-path"), ("--out",)),
    **dict.fromkeys(("force", "f", "replace", "yes"), ("--overwrite",)),
    **dict.fromkeys(("continue", "restart", "checkpoint", "load", "resume-from", "from-checkpoint"), ("--resume",)),
    **dict.fromkeys(
        ("bptt", "seq-len", "seq-length", "sequence-length", "block-size", "context", "context-length", "truncate"),
        ("--window",)),
    **dict.fromkeys(("workers", "num-workers", "jobs", "j", "cpus", "num-threads", "n-jobs"), ("--threads",)),
    **dict.fromkeys(("save-every", "save-interval", "checkpoint-interval", "save-steps"), ("--checkpoint-every",)),
    **dict.fromkeys(("tensorboard", "log-dir", "wandb"), ("--track",)),
    **dict.fromkeys(("random-seed", "random-state"), ("--seed",)),
    **dict.fromkeys(("options", "options-file", "c"), ("--config",)),
    **dict.fromkeys(("horizon", "forecast-horizon", "steps-ahead", "prediction-length", "pred-len"), ("--ahead",)),
    **dict.fromkeys(("max-length", "num-chars", "max-new-tokens", "n", "characters"), ("--length",)),
    **dict.fromkeys(("start", "text", "prefix", "prime", "prime-text"), ("--prompt",)),
    **dict.fromkeys(("temp", "t"), ("--temperature",)),
    **dict.fromkeys(("top-k", "nucleus"), ("--top-p",)),
    **dict.fromkeys(("chunk-size", "batch-size", "block"), ("--chunk", "--batch")),
    **dict.fromkeys(("input", "file", "dataset", "text-file"), ("--data",)),
    **dict.fromkeys(
        ("schedule", "scheduler", "lr-schedule", "lr-scheduler", "decay"), ("--set training.schedule=cosine",)),
    **dict.fromkeys(("optimizer", "optim", "opt"), ("--set training.optimizer=adamw",)),
    **dict.fromkeys(("weight-decay", "wd", "l2"), ("--set training.weight_decay=0.01",)),
    **dict.fromkeys(("momentum",), ("--set training.optimizer=sgd --set training.momentum=0.9",)),
    **dict.fromkeys(
        ("clip", "grad-clip", "clip-grad", "clip-norm", "max-norm", "max-grad-norm", "gradient-clip"),
        ("--set training.clip=1.0",)),
    **dict.fromkeys(("warmup", "warmup-steps", "warmup-ratio"), ("--set training.warmup=0.02",)),
    **dict.fromkeys(("patience", "early-stopping"), ("--set training.patience=3",)),
    **dict.fromkeys(("ema", "average", "swa"), ("--set training.average=0.99",)),
    **dict.fromkeys(("dropout", "drop"), ("--set model.dropout=0.5",)),
    **dict.fromkeys(("weight-dropout", "weight-drop", "wdrop"), ("--set model.weight_dropout=0.5",)),
    **dict.fromkeys(("zoneout",), ("--set model.zoneout=0.1",)),
    **dict.fromkeys(("variational", "variational-dropout", "recurrent-dropout"), ("--set model.variational=0.2",)),
    **dict.fromkeys(("embedding", "embedding-size", "embedding-dim", "emsize"), ("--set model.embedding=64",)),
    **dict.fromkeys(("bidirectional", "bi"), ("--set model.bidirectional=true",)),
    **dict.fromkeys(("residual", "skip"), ("--set model.residual=true",)),
    **dict.fromkeys(("tied", "tie-weights"), ("--set model.tied=true --set model.embedding=64",)),
    **dict.fromkeys(("target", "label"), ("--set data.target=COLUMN",)),
    **dict.fromkeys(("level", "tokenizer", "unit", "vocab"), ("--set data.unit=word",)),
}  # fmt: skip


def synonym(option: str, known: Collection[str]) -> str | None:
    """What to write instead of an unknown option of a command, whose options are ``known``.

    >>> synonym("--lr", {"--rate", "--cell"})
    'Write --rate'
    """
    for phrase in SYNONYMS.get(option.partition("=")[0].lstrip("-").replace("_", "-").lower(), ()):
        if set(re.findall(r"--[a-z-]+", phrase)) <= set(known):
            return f"Write {phrase}" if phrase.startswith("--") else phrase
    return None
