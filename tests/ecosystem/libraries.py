"""What users do with a model in libraries around PyTorch: each returns numbers to compare with those of torch.nn."""

from __future__ import annotations

import copy
import logging
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.data import DataLoader, TensorDataset

import unrolled
from unrolled.nn.interop import from_torch

Use = Callable[[nn.Module], Any]
USES: dict[str, tuple[str, Use]] = {}  # by its words: the library, and what is done

X = torch.linspace(-1, 1, 16 * 5 * 3).view(16, 5, 3).sin()
Y = torch.arange(16) % 3 % 2


class Classifier(nn.Module):
    """The class of a sequence from the last step of a recurrent layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.scores = layer, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        found = self.layer(x)
        return self.scores(found.last.h if isinstance(self.layer, unrolled.Recurrent) else found[0][:, -1])


def model(kind: str) -> Classifier:
    """The same model with another layer: ``torch``, ``drop-in``, ``accelerated`` or ``Recurrent``.

    torch's layers have two biases that add up, and a circuit has one. So that all learn alike, the second one is fixed.
    """
    torch.manual_seed(0)
    theirs = nn.LSTM(3, 4, batch_first=True)
    made = Classifier(theirs)
    if kind == "drop-in":
        made.layer = unrolled.nn.LSTM(3, 4, batch_first=True)
        made.layer.load_state_dict(theirs.state_dict())
    elif kind == "accelerated":
        assert unrolled.accelerate(made).replaced
    elif kind == "Recurrent":
        made.layer = from_torch(theirs)
    for name, parameter in made.named_parameters():
        parameter.requires_grad_("bias_hh" not in name)
    return made


def batches(rows: int = 4) -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, Y), batch_size=rows)


def use(library: str, words: str) -> Callable[[Use], Use]:
    def keep(f: Use) -> Use:
        USES[words] = library, f
        return f

    return keep


@use("Lightning", "`Trainer.fit`, one epoch, and `load_from_checkpoint`")
def lightning(made: nn.Module) -> list[Tensor]:
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    losses = []

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = copy.deepcopy(made)

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            loss = F.cross_entropy(self.model(batch[0]), batch[1])
            losses.append(loss.detach())
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.01)

    with tempfile.TemporaryDirectory() as folder:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", default_root_dir=folder, **quiet)
        trainer.fit(Module(), batches())
        trainer.save_checkpoint(Path(folder) / "saved.ckpt")
        again = Module.load_from_checkpoint(Path(folder) / "saved.ckpt").eval()
    return [*losses, again.model(X)]


@use("skorch", "`NeuralNetClassifier`: `fit`, `cross_val_score`, `pickle`")
def skorch(made: nn.Module) -> list[Tensor]:
    from sklearn.model_selection import cross_val_score
    from skorch import NeuralNetClassifier

    options = {"max_epochs": 3, "lr": 0.1, "train_split": None, "verbose": 0, "iterator_train__shuffle": False}
    net = NeuralNetClassifier(made, criterion=nn.CrossEntropyLoss, **options)
    scores = cross_val_score(net, X.numpy(), Y.numpy(), cv=2)
    net.fit(X.numpy(), Y.numpy())
    again = pickle.loads(pickle.dumps(net)).predict_proba(X.numpy())
    return [torch.tensor(net.history[:, "train_loss"]), torch.tensor(scores), torch.from_numpy(again)]


def accelerated(made: nn.Module, precision: str) -> list[Tensor]:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    accelerator = Accelerator(cpu=True, mixed_precision=precision, gradient_accumulation_steps=2)
    wrapped, optimizer, data = accelerator.prepare(made, torch.optim.SGD(made.parameters(), lr=0.1), batches())
    losses = []
    for x, y in data:
        with accelerator.accumulate(wrapped):
            loss = F.cross_entropy(wrapped(x), y)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(wrapped.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach().float())
    return [*losses, accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)(X)]


@use("Accelerate", "`prepare`, `accumulate`, `backward`, `clip_grad_norm_`")
def accelerate(made: nn.Module) -> list[Tensor]:
    return accelerated(made, "no")


def clipped(made: nn.Module) -> dict[str, Tensor]:
    """The gradient of every row, by parameter: (rows, ...)."""
    parameters = {n: p.detach() for n, p in made.named_parameters() if p.requires_grad}

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(made, parameters, (x[None],)), y[None])

    return vmap(grad(loss), in_dims=(None, 0, 0))(parameters, X, Y)


@use("private gradients", "`vmap(grad(loss))` per row, each clipped to a norm of 0.05, then a step")
def private(made: nn.Module) -> Tensor:
    rows = clipped(made)
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in rows.values()]).norm(dim=0)
    share = (0.05 / (norms + 1e-6)).clamp(max=1.0)
    with torch.no_grad():
        for name, gradients in rows.items():
            made.get_parameter(name).sub_(torch.einsum("b,b...->...", share, gradients) / len(X))
    return made(X)


@use("Opacus", "`make_private(grad_sample_mode='no_op')`, with `vmap(grad(loss))` per row")
def opacus(made: nn.Module) -> Tensor:
    from opacus import PrivacyEngine

    optimizer = torch.optim.SGD([p for p in made.parameters() if p.requires_grad], lr=1.0)
    options = {"noise_multiplier": 0.0, "max_grad_norm": 0.05, "poisson_sampling": False, "grad_sample_mode": "no_op"}
    wrapped, optimizer, _ = PrivacyEngine().make_private(
        module=made, optimizer=optimizer, data_loader=batches(16), **options
    )
    for name, gradients in clipped(made).items():
        made.get_parameter(name).grad_sample = gradients
    optimizer.step()
    return wrapped(X)


@use("Captum", "`IntegratedGradients`, `Saliency`, `FeatureAblation`")
def captum(made: nn.Module) -> list[Tensor]:
    from captum.attr import FeatureAblation, IntegratedGradients, Saliency

    return [
        IntegratedGradients(made).attribute(X, target=1, n_steps=20),
        Saliency(made).attribute(X, target=1),
        FeatureAblation(made).attribute(X, target=1),
    ]


@use("torchinfo", "`summary`")
def torchinfo(made: nn.Module) -> list[Any]:
    from torchinfo import summary

    found = summary(made, input_size=(16, 5, 3), verbose=0)
    return [found.trainable_params, *(row.output_size for row in found.summary_list)]
