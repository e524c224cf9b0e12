"""Which tensors an engine can read, and when torch must see every operation instead.

An engine reads memory by address and writes in place. That works for ordinary tensors: dense, strided, with memory of
their own, of torch's own class. It does not work for tensors that only represent others (a FakeTensor, a DTensor, a
tensor inside ``torch.func.vmap``), nor where torch traces or transforms operations.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.compiler import disable, is_compiling
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _disable_current_modes

from ..errors import EngineError, InputError

P = ParamSpec("P")
R = TypeVar("R")
C: Any = torch._C
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
LOW = (torch.float32, torch.bfloat16, torch.float16)  # dtypes that torch.autocast converts
OWN = (Tensor, nn.Parameter)

ODD = ~functools.reduce(  # torch's dispatch keys that no dense, strided tensor with its own memory has
    operator.or_,
    (
        C.DispatchKeySet(getattr(C.DispatchKey, name)).raw_repr()
        for name in dir(C.DispatchKey)
        if name in ("Dense", "ADInplaceOrView") or re.fullmatch("Auto(grad|cast)(?!Nested)[A-Z].*", name)
    ),
)


def traced() -> bool:
    """Whether torch traces or replaces operations now: ``torch.jit.trace``, ``make_fx``, the export to ONNX,
    ``FakeTensorMode`` and other modes, ``torch.func.functionalize``."""
    return bool(
        C._get_tracing_state() is not None
        or C._len_torch_dispatch_stack()
        or (C._len_torch_function_stack() and _replaced())
        or (C._are_functorch_transforms_active() and _functionalized())
    )


dynamo_is_active: Callable[[], object] = C._dynamo.eval_frame.get_eval_frame_callback
"""Whether torch.compile would trace the next Python function that is called."""


def untraced(function: Callable[P, R]) -> Callable[P, R]:
    """Keep torch.compile from tracing a function that torch calls, such as a backward pass."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_compiling() or dynamo_is_active():
            found: R = disable(function)(*args, **kwargs)
            return found
        return function(*args, **kwargs)

    return run


def under_autocast(tensor: Tensor) -> bool:
    """Whether ``torch.autocast`` is active on the device of a tensor."""
    return not tensor.is_meta and torch.is_autocast_enabled(tensor.device.type)


def in_dtype_of(like: Tensor, value: Tensor) -> Tensor:
    """Under ``torch.autocast``, a value (n, ...) of any shape in the dtype of the parameters, in which a network
    computes. float64 is never converted, as by torch."""
    if value.dtype == like.dtype or not under_autocast(like):
        return value
    return value.to(like.dtype) if value.dtype in LOW and like.dtype in LOW else value


def without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """Keep ``torch.autocast`` from changing the dtype of single operations inside a function."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if not C._is_any_autocast_enabled():
            return function(*args, **kwargs)
        with C._DisableAutocast():
            return function(*args, **kwargs)

    return run


def for_onnx() -> bool:
    """Whether torch exports a model to ONNX, which has no operators of this library."""
    return torch.onnx.is_in_onnx_export()


def transformed() -> bool:
    """Whether torch differentiates or batches what runs now: ``torch.func``, forward-mode differentiation."""
    return bool(C._are_functorch_transforms_active() or forward_ad._current_level >= 0)


for known in (for_onnx, transformed):
    known._dynamo_marked_constant = True  # type: ignore[attr-defined]  # torch.compile calls it while it traces


def watched() -> bool:
    """Whether torch traces, replaces or transforms operations now."""
    return traced() or transformed()


def _functionalized() -> bool:
    kinds = [interpreter.key() for interpreter in C._functorch.get_interpreter_stack() or ()]
    return C._functorch.TransformType.Functionalize in kinds


def unwrapped(tensor: Tensor) -> Tensor:
    """The tensor that a transform of ``torch.func`` has wrapped."""
    while C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = C._functorch.get_unwrapped(tensor)
    return tensor


def recorded() -> bool:
    """Whether torch records operations to replay them on other tensors: ``torch.jit.trace``, ``make_fx``."""
    return C._get_tracing_state() is not None or C._get_dispatch_mode(C._TorchDispatchModeKey.PROXY) is not None


def _replaced() -> bool:
    """Whether a mode replaces torch's functions. ``torch.set_default_device`` is a harmless one."""
    return any(not isinstance(mode, DeviceContext) for mode in _get_current_function_mode_stack())


@contextmanager
def unwatched() -> Iterator[None]:
    """Run operations unobserved, on ordinary tensors. New tensors are on the CPU unless a device is given."""
    tracing = C._get_tracing_state()
    if tracing is not None:
        C._set_tracing_state(None)
    try:
        with (
            temporarily_clear_interpreter_stack(),
            _disable_current_modes(),
            C.DisableTorchFunction(),
            torch.inference_mode(False),
            torch.no_grad(),
        ):
            yield
    finally:
        if tracing is not None:
            C._set_tracing_state(tracing)


def constants(make: Callable[P, R]) -> Callable[P, R]:
    """Cache the tensors that a function computes from its arguments. They are ordinary tensors in every context."""

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> R:
        with unwatched():
            return make(*args, **kwargs)

    remembered: Any = functools.lru_cache(maxsize=32)(made)
    return cast(Callable[P, R], remembered)


def ordinary(tensor: Tensor) -> bool:
    """Whether an engine can read the memory of a tensor."""
    return type(tensor) in OWN and not C._dispatch_keys(tensor).raw_repr() & ODD


def as_given(tensor: Tensor) -> bool:
    """Whether an engine reads a tensor itself, not a copy (see ``readable``)."""
    return ordinary(tensor) and not (tensor.is_inference() and torch.is_grad_enabled())


class Guards(Protocol):
    """A fast check whether tensors are of the same kinds as earlier ones."""

    def check(self, *tensors: object) -> bool:
        """Whether class, dtype, device, layout, negative bit and shape are the same; for parameters, strides, too."""
        ...


def guards(tensors: Sequence[Tensor], parameters: Sequence[Tensor] = ()) -> Guards:
    """What tells in less than a microsecond whether other tensors are of the same kinds: what ``torch.compile`` asks
    before it runs compiled code again. Parameters also have the same strides."""
    everything = *tensors, *parameters
    sizes: list[Any] = [list(t.shape) for t in everything]
    strides: list[Any] = [*([None] * t.ndim for t in tensors), *(list(p.stride()) for p in parameters)]
    made: Guards = C._dynamo.guards.TensorGuards(*everything, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides)
    return made


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape as integers; while torch traces, ``tensor.shape`` may contain tensors or symbols."""
    if (is_compiling() and not for_onnx()) or not recorded():  # torch.compile and torch.export keep symbols
        return tuple(tensor.shape)
    tracing = C._get_tracing_state()
    C._set_tracing_state(None)
    try:
        return tuple(map(int, tensor.shape))
    finally:
        C._set_tracing_state(tracing)


def readable(what: str, tensor: Tensor) -> Tensor:
    """Convert a tensor to an ordinary one if necessary and possible. Tensors that only represent others are returned
    unchanged.

    Args:
        what: the name of the tensor, for messages.
        tensor: a tensor (n, ...) of any shape.

    Raises:
        InputError: the tensor is not dense, or cannot have a gradient.
    """
    if ordinary(tensor) and not tensor.is_inference():
        return tensor
    if nn.parameter.is_lazy(tensor):
        raise InputError(f"{what} is not initialised, so it has no shape. Run its lazy module first")
    if tensor.is_nested:
        raise InputError(f"{what} is a nested tensor. Convert it: unrolled.Ragged.from_nested(x)")
    if tensor.layout is not torch.strided:
        layout = str(tensor.layout).removeprefix("torch.").lstrip("_")
        raise InputError(f"{what} must be a dense tensor, got the layout {layout}. Convert it: x.to_dense()")
    if tensor.is_quantized:
        raise InputError(f"{what} is quantized. Convert it: x.dequantize()")
    if type(tensor) not in (Tensor, nn.Parameter) and _only_a_name(type(tensor)):
        tensor = tensor.as_subclass(Tensor)
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    if tensor.is_inference() and torch.is_grad_enabled():
        if tensor.requires_grad:
            raise InputError(
                f"{what} was created in inference mode and cannot have a gradient. "
                "Create it outside of torch.inference_mode(), or call the network under torch.no_grad()"
            )
        tensor = tensor.clone()  # torch cannot save inference tensors for the backward pass
    return tensor


def _only_a_name(kind: type[Tensor]) -> bool:
    """Whether a subclass of Tensor changes no behaviour: it has its own memory and torch's functions."""
    own = getattr(kind.__torch_function__, "__func__", None)
    return kind.__torch_dispatch__ is Tensor.__torch_dispatch__ and own is Tensor.__torch_function__.__func__  # type: ignore[attr-defined]


def readable_gradient(name: str, gradient: Tensor) -> Tensor:
    """Convert a gradient that enters the backward pass to an ordinary tensor.

    Raises:
        EngineError: the gradient represents other tensors, such as a batch of gradients.
    """
    if ordinary(gradient):
        return gradient
    if gradient.layout is not torch.strided:
        gradient = gradient.to_dense()
    if gradient._is_zerotensor():
        gradient = torch.zeros(gradient.shape, dtype=gradient.dtype, device=gradient.device)
    if type(gradient) is not Tensor and _only_a_name(type(gradient)):
        gradient = gradient.as_subclass(Tensor)
    gradient = gradient.resolve_neg()
    if not ordinary(gradient):
        raise EngineError(
            f"the gradient of '{name}' is a batch of gradients or a subclass of Tensor, but the backward pass of a "
            "recurrent network takes one ordinary gradient at a time. Do not use is_grads_batched=True "
            "(vectorize=True), or use torch.func.vmap"
        )
    return gradient
