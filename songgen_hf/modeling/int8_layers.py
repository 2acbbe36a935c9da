"""Linear layers with weights of 8 bits, which take less time on a CPU and a quarter of the memory.

Each row of a weight is rounded to integers from -127 to 127 with one scale. On x86 CPUs FBGEMM
multiplies integers (arXiv 2101.05615): the rows of the input are rounded, too, each with a scale of
its own, so that a song does not depend on the others of its batch. Few rows and a small weight,
whose product takes the time of the calls rather than that of reading the weight, are multiplied by
the kernel of torch for weights of 8 bits, which reads the input in bfloat16.
"""

import functools
import warnings
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .few_rows import CACHED_WEIGHTS, FewRowsLinear, computes_sums, row_sums
from .idle_weights import give_back

SCALE = ".weight_scale"
"""Ending of the name of the scales that belong to ``.weight``."""
SMALLEST_MATRIX = 4096
"""Number of weights below which a matrix stays as it is in files: it would save nothing."""
LARGEST = 127
INPUT_LEVELS = 63
"""Integers on each side of zero for an input. With all 127, the sums of two products would exceed
the 16 bits in which CPUs without VNNI add them, so songs would differ between CPUs."""
MOST_ROWS = 64
"""Number of rows up to which a small weight is multiplied in bfloat16."""
ALIGNMENT = 32
"""Bytes of which the addresses of both factors, and of their rows, are multiples in that product:
its kernel crashes with others, such as those of files that are mapped into memory."""


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row of a matrix to integers with one scale.

    The largest magnitude of a row becomes 127. A scale has 16 significant bits, so that integers
    times scales are exact in float32 and give the same integers when they are rounded again.

    Args:
        weight: [rows, columns].
    Returns:
        int8 [rows, columns] and float32 scales [rows].
    """
    weight = weight.detach().float()
    scale = weight.abs().amax(dim=1) / LARGEST
    scale = (scale.view(torch.int32) & ~0xFF).view(torch.float32)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    rounded = (weight / scale[:, None]).round_().clamp_(-LARGEST, LARGEST)
    return rounded.to(torch.int8), scale


def dequantize_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """Return the float32 matrix of integers [rows, columns] and scales [rows]."""
    return weight.float() * scale.float()[:, None]


def is_quantizable(name: str, weight: Tensor) -> bool:
    """Whether a file stores this tensor as integers: a matrix that is not of the codec."""
    return (
        name.endswith(".weight")
        and weight.ndim == 2
        and weight.is_floating_point()
        and weight.numel() >= SMALLEST_MATRIX
        and not name.startswith("audio_encoder.")
    )


def quantized_state_dict(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with their matrices as integers, and the scales under names of their own.

    Tied weights, which are stored once under one of their names, stay as they are.
    """
    places = [weight.data_ptr() for weight in weights.values()]
    tied = {place for place in places if places.count(place) > 1}
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if is_quantizable(name, weight) and weight.data_ptr() not in tied:
            found[name], found[name.removesuffix(".weight") + SCALE] = quantize_rows(weight)
        else:
            found[name] = weight
    return found


def dequantize_state_dict(weights: dict[str, Tensor]) -> None:
    """Replace the integers of :func:`quantized_state_dict` by floats, in place."""
    for name in [name for name in weights if name.endswith(SCALE)]:
        matrix = name.removesuffix(SCALE) + ".weight"
        weights[matrix] = dequantize_rows(weights[matrix], weights.pop(name))


# Looked up once, since each product asks; the compiler cannot trace a cached function.
_HAS_FBGEMM = "fbgemm" in torch.backends.quantized.supported_engines and hasattr(
    torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32"
)


def multiplies_integers() -> bool:
    """Whether this torch has the integer products of FBGEMM, as on x86 CPUs."""
    return _HAS_FBGEMM


@functools.cache
def multiplies_few_rows() -> bool:
    """Whether this torch has a fast product of bfloat16 and integers for this CPU."""
    return hasattr(torch, "_weight_int8pack_mm") and torch.backends.cpu.get_cpu_capability() in (
        "AVX2",
        "AVX512",
    )


def _aligned(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of it at an address that the product of few rows can read."""
    tensor = tensor.contiguous()
    return tensor.clone() if tensor.data_ptr() % ALIGNMENT else tensor


@functools.cache
def _ones(size: int) -> Tensor:
    """The scales of a product that is scaled afterwards, in float32."""
    return torch.ones(size, dtype=torch.bfloat16)


class Int8Linear(nn.Linear):
    """Linear layer whose weight is int8 [out, in], with float32 scales [out].

    It is for inference. On CPUs without FBGEMM, on other devices and with ``multiplies_floats`` it
    multiplies floats that it makes from the integers in each call, which saves memory and no time.
    The product of a small weight with more than ``MOST_ROWS`` rows is rounded in another way than
    that of fewer.

    Args:
        in_features, out_features, bias, device: as those of ``nn.Linear``.
        multiplies_floats: whether the input keeps its precision, as outliers need it.
    """

    weight_scale: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        device: Any = None,
        multiplies_floats: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self.multiplies_floats = multiplies_floats
        empty = torch.zeros(out_features, in_features, dtype=torch.int8, device=device)
        self.weight = nn.Parameter(empty, requires_grad=False)
        self.register_buffer("weight_scale", torch.ones(out_features, device=device))
        shift = nn.Parameter(torch.zeros(out_features, device=device)) if bias else None
        self.register_parameter("bias", shift)
        self._packed: Any = None  # the weight in the order in which FBGEMM reads it
        self.is_compiled = False
        """Whether compiled steps read the weight, too, which is then held twice."""

    @classmethod
    def from_linear(cls, linear: nn.Linear, multiplies_floats: bool = False) -> "Int8Linear":
        """Return the layer with the rounded weight of another one."""
        weight, sizes = linear.weight, (linear.in_features, linear.out_features)
        layer = cls(*sizes, linear.bias is not None, "meta", multiplies_floats)
        rounded, layer.weight_scale = quantize_rows(weight)
        give_back([weight])
        layer.weight = nn.Parameter(rounded, requires_grad=False)
        layer.bias = linear.bias
        return layer.train(linear.training)

    def forward(self, states: Tensor) -> Tensor:
        """Multiply states [..., in] and return them [..., out] in their precision."""
        if self.multiplies_floats or states.device.type != "cpu" or not multiplies_integers():
            bias = None if self.bias is None else self.bias.to(states.dtype)
            return F.linear(states, self.dequantized().to(states.dtype), bias)
        if computes_sums(states):
            return self._compiled(states)
        rows = states.reshape(-1, self.in_features)
        if self.is_small and len(rows) <= MOST_ROWS:
            if self.weight.data_ptr() % ALIGNMENT:
                self.weight.data = self.weight.data.clone()
            product = torch._weight_int8pack_mm(
                _aligned(rows.bfloat16()), self.weight, _ones(self.out_features)
            )
            return self._finished(product * self.weight_scale, states)
        rows = rows.float()
        scale = rows.abs().amax(dim=1, keepdim=True)
        scale = scale.clamp_(min=torch.finfo(torch.float32).tiny)
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            rows / scale, 1 / INPUT_LEVELS, INPUT_LEVELS + 1, self._pack()
        )
        return self._finished(product * scale, states)

    def _compiled(self, states: Tensor) -> Tensor:
        """The product in a compiled step, in which states are not rounded."""
        sums = row_sums(self.weight, states.reshape(-1, self.in_features))
        return self._finished(sums * self.weight_scale, states)

    def _finished(self, product: Tensor, states: Tensor) -> Tensor:
        """The product with the bias, in the shape and the precision of the states."""
        if self.bias is not None:
            product = product + self.bias
        return product.to(states.dtype).view(*states.shape[:-1], self.out_features)

    @property
    def is_small(self) -> bool:
        """Whether few rows are multiplied in bfloat16, by a kernel that reads the weight as it is.

        Many rows read it in the order of FBGEMM, and it is then held twice.
        """
        return (
            self.in_features * self.out_features <= CACHED_WEIGHTS
            and self.in_features % ALIGNMENT == 0
            and multiplies_few_rows()
        )

    def dequantized(self) -> Tensor:
        """The float32 weight [out, in]."""
        weight, scale = self._integers()
        return dequantize_rows(weight, scale)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, weight=int8"

    def _pack(self) -> Any:
        """The packed weight, made at the first call; the weight itself is then freed."""
        if self._packed is None:
            zeros = torch.zeros(self.out_features, dtype=torch.long)
            scales = self.weight_scale.double()
            with warnings.catch_warnings():
                # The tensors that FBGEMM reads its weights from are deprecated; its products last.
                warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
                weight = torch._make_per_channel_quantized_tensor(
                    self.weight.data, scales, zeros, 0
                )
                self._packed = torch.ops.quantized.linear_prepack(weight, None)
            if not self._keeps_order:
                self.weight.data = self.weight.data.new_empty(0)
        return self._packed

    @property
    def _keeps_order(self) -> bool:
        """Whether the weight stays as it is beside the packed one."""
        return self.is_compiled or self.is_small

    def _integers(self) -> tuple[Tensor, Tensor]:
        """The integers and the scales, wherever they are."""
        if self._packed is None or self._keeps_order:
            return self.weight.data, self.weight_scale
        return torch.ops.quantized.linear_unpack(self._packed)[0].int_repr(), self.weight_scale

    def _unpack(self) -> None:
        """Give the weight back what :meth:`_pack` took."""
        self.weight.data = self._integers()[0]
        self._packed = None

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._unpack()
        scale = self.weight_scale
        super()._apply(fn, recurse)
        if self.weight_scale.dtype != torch.float32:  # .to(bfloat16) is for what is computed
            self.weight_scale = scale.to(self.weight_scale.device)
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self._integers()[0]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._unpack()
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        self._unpack()
        return self.__dict__.copy()


def compile_layers(module: nn.Module) -> bool:
    """Let the :class:`Int8Linear` below a module hold what compiled steps read.

    Returns:
        Whether there are any.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, Int8Linear)]
    for layer in layers:
        if not layer.is_compiled:
            layer.weight.data = layer._integers()[0]
            layer.is_compiled = True
    return bool(layers)


def linear_layers(module: nn.Module, skipped: Iterable[str] = ()) -> list[tuple[str, nn.Linear]]:
    """The names and linear layers below a module, except those whose name starts with one given."""
    prefixes = tuple(f"{name}." for name in skipped)
    return [
        (name, layer)
        for name, layer in module.named_modules()
        if type(layer) in (nn.Linear, FewRowsLinear) and not f"{name}.".startswith(prefixes)
    ]


def replace_layer(module: nn.Module, name: str, layer: nn.Module) -> None:
    """Put a layer in the place of the one with this name below a module."""
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, layer)


def quantize_layers(
    module: nn.Module, skipped: Iterable[str] = (), multiplies_floats: bool = False
) -> None:
    """Replace the linear layers below a module by :class:`Int8Linear`, one after the other."""
    for name, layer in linear_layers(module, skipped):
        replace_layer(module, name, Int8Linear.from_linear(layer, multiplies_floats))


__all__ = [
    "INPUT_LEVELS",
    "LARGEST",
    "SCALE",
    "Int8Linear",
    "compile_layers",
    "dequantize_rows",
    "dequantize_state_dict",
    "is_quantizable",
    "linear_layers",
    "multiplies_integers",
    "quantize_layers",
    "quantize_rows",
    "quantized_state_dict",
    "replace_layer",
]
