"""Loads song models with weights of 8 bits through ``quantization_config`` of transformers.

    SongGenForConditionalGeneration.from_pretrained(name, quantization_config=Int8Config())

A file holds the matrices of a model as integers with scales, whatever computes with them later.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.core_model_loading import ConversionOps, SkipParameters, WeightConverter
from transformers.quantizers import HfQuantizer
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING
from transformers.utils.quantization_config import QuantizationConfigMixin

from .checkpoint_files import HUB_OPTIONS
from .int8_layers import (
    Int8Linear,
    dequantize_rows,
    linear_layers,
    quantize_layers,
    quantize_rows,
    replace_layer,
)

METHOD = "songgen_int8"
COMPUTED = "decoder"
"""The part of a song model that computes with integers. The encoders run once for each song, and
activations of T5 have outliers that one scale for a row would not serve."""


class Int8Config(QuantizationConfigMixin):
    """Weights of 8 bits, with one scale for each row of a matrix.

    Args:
        dequantize: whether integers of a file become floats when they are loaded. The model is then
            one of floats, which can be trained; only its files are small.
    """

    def __init__(self, dequantize: bool = False, **_: Any) -> None:
        self.quant_method = METHOD
        self.dequantize = dequantize


class Int8Quantizer(HfQuantizer):
    """Loads files of floats or integers as a model that computes with either."""

    quantization_config: Int8Config

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **_: Any) -> Any:
        if not self.quantization_config.dequantize:
            computed = model.get_submodule(COMPUTED)
            for name, layer in linear_layers(computed):
                sizes = layer.in_features, layer.out_features, layer.bias is not None
                replace_layer(computed, name, Int8Linear(*sizes, device="meta"))
        return model

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **_: Any) -> Any:
        # transformers would undo conversions when it saves, but the model is saved as it is.
        conversions = getattr(model, "_weight_conversions", None) or []
        others = [item for item in conversions if not _is_own(item)]
        model._weight_conversions = others or None
        return model

    def param_needs_quantization(self, model: PreTrainedModel, param_name: str, **_: Any) -> bool:
        """Whether floats of a file are rounded for this parameter."""
        owner, _dot, name = param_name.rpartition(".")
        return name == "weight" and isinstance(model.get_submodule(owner), Int8Linear)

    def get_quantize_ops(self) -> ConversionOps:
        """The operation that rounds floats of a file."""
        return RoundToInt8()

    def get_weight_conversions(self) -> list[WeightConverter]:
        """The conversion of matrices that a file holds as integers."""
        if not self.pre_quantized:
            return []
        return [WeightConverter([r"\.weight$", r"\.weight_scale$"], ".weight", [ReadInt8(self)])]

    def is_serializable(self) -> bool:
        """True: the files hold the integers."""
        return True

    @property
    def is_compileable(self) -> bool:
        """True: compiled steps sum over the integers."""
        return True

    @property
    def is_trainable(self) -> bool:
        """False: integers have no gradient."""
        return False


class RoundToInt8(ConversionOps):
    """Rounds one matrix of floats while a file is loaded."""

    def convert(
        self, input_dict: dict[str, Any], full_layer_name: str = "", **_: Any
    ) -> dict[str, Tensor]:
        """Return the integers and the scales by their names."""
        (value,) = input_dict.values()
        weight, scale = quantize_rows(value[0] if isinstance(value, list) else value)
        return {full_layer_name: weight, f"{full_layer_name}_scale": scale}


class ReadInt8(ConversionOps):
    """Reads one weight of a file: integers with scales, or floats."""

    def __init__(self, hf_quantizer: HfQuantizer) -> None:
        # transformers leaves tensors as they are in the file for operations with this attribute.
        self.hf_quantizer = hf_quantizer

    def convert(
        self,
        input_dict: dict[str, Any],
        full_layer_name: str = "",
        model: PreTrainedModel | None = None,
        **_: Any,
    ) -> dict[str, Tensor]:
        """Return what the parameter of this name needs."""
        found = {pattern: tensors[0] for pattern, tensors in input_dict.items() if tensors}
        weight, scale = found.get(r"\.weight$"), found.get(r"\.weight_scale$")
        if weight is None or model is None:
            raise SkipParameters
        target = model.get_parameter_or_buffer(full_layer_name)
        if target.dtype == torch.int8:
            if scale is None:
                weight, scale = quantize_rows(weight)
            return {full_layer_name: weight, f"{full_layer_name}_scale": scale}
        if scale is not None:
            weight = dequantize_rows(weight, scale)
        return {full_layer_name: weight.to(target.dtype)}


def with_asked_config(config_class: Any, name: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Let an :class:`Int8Config` in the options of ``from_pretrained`` precede that of a file.

    transformers would use the one of the file, which may be for another computation.

    Args:
        config_class: configuration class of the model.
        name: folder or Hub id of the checkpoint.
        options: options of ``from_pretrained``.
    """
    asked = options.get("quantization_config")
    if not isinstance(asked, Int8Config):
        return options
    hub = {key: options[key] for key in HUB_OPTIONS if key in options}
    config = options.get("config") or config_class.from_pretrained(name, **hub)
    if getattr(config, "quantization_config", None) is None:
        return options
    config.quantization_config = asked.to_dict()
    return {**options, "config": config, "quantization_config": None}


def quantize_model(model: PreTrainedModel) -> None:
    """Let a song model of floats compute with integers, in place; a quantized one stays."""
    if getattr(model.config, "quantization_config", None) is None:
        quantize_layers(model.get_submodule(COMPUTED))
        model.config.quantization_config = Int8Config()


def _is_own(conversion: Any) -> bool:
    """Whether a conversion of transformers is that of this module."""
    return any(isinstance(op, ReadInt8) for op in getattr(conversion, "operations", ()))


# Not by the decorators of transformers, which refuse a name that remote code registers again.
AUTO_QUANTIZATION_CONFIG_MAPPING[METHOD] = Int8Config
AUTO_QUANTIZER_MAPPING[METHOD] = Int8Quantizer

__all__ = ["METHOD", "Int8Config", "Int8Quantizer", "quantize_model", "with_asked_config"]
