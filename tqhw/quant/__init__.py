"""Quantizers, quantized models and their integer codes. See docs/quantization.md for the definitions."""

from tqhw.options import LayerBits, Normalization
from tqhw.quant.activation import InputQuantizer, input_quantizers, real_inputs
from tqhw.quant.bits import FULL, MAX_BITS, check_bits, check_precisions
from tqhw.quant.codes import integer_codes, refuse_held, running_on_codes, shift_is_exact
from tqhw.quant.coding import quantize
from tqhw.quant.config import QuantConfig, bits_by_layer
from tqhw.quant.convert import convert, revert
from tqhw.quant.coverage import Coverage, Unswitched, beside_products, coverage
from tqhw.quant.export import export
from tqhw.quant.files.deployed import Deployed, load
from tqhw.quant.files.package import save
from tqhw.quant.foreign import quantized_by
from tqhw.quant.layers import QuantizedLayer, holds_codes, is_quantized, quantization_of, quantized_layers
from tqhw.quant.magnitude import losing_magnitude, magnitude_warning
from tqhw.quant.norm import SwitchableBatchNorm
from tqhw.quant.onnx.file import save_onnx
from tqhw.quant.onnx.model import OnnxModel
from tqhw.quant.order import execution_order
from tqhw.quant.post_training.post import PostTraining, post_train, post_training_config
from tqhw.quant.precision import (
    PrecisionSwitch,
    add_precision,
    at_bits,
    keep_precisions,
    set_bits,
    shared_normalization,
)
from tqhw.quant.schemes import SCHEMES, Scheme, scheme_named
from tqhw.quant.slices import Slices
from tqhw.quant.storage import Storage, storage
from tqhw.quant.tensor import Normalized, QuantizedTensor, normalize
from tqhw.quant.weight import QuantizedWeight

__all__ = [
    "FULL",
    "MAX_BITS",
    "SCHEMES",
    "Coverage",
    "Deployed",
    "InputQuantizer",
    "LayerBits",
    "Normalization",
    "Normalized",
    "OnnxModel",
    "PostTraining",
    "PrecisionSwitch",
    "QuantConfig",
    "QuantizedLayer",
    "QuantizedTensor",
    "QuantizedWeight",
    "Scheme",
    "Slices",
    "Storage",
    "SwitchableBatchNorm",
    "Unswitched",
    "add_precision",
    "at_bits",
    "beside_products",
    "bits_by_layer",
    "check_bits",
    "check_precisions",
    "convert",
    "coverage",
    "execution_order",
    "export",
    "holds_codes",
    "input_quantizers",
    "integer_codes",
    "is_quantized",
    "keep_precisions",
    "load",
    "losing_magnitude",
    "magnitude_warning",
    "normalize",
    "post_train",
    "post_training_config",
    "quantization_of",
    "quantize",
    "quantized_by",
    "quantized_layers",
    "real_inputs",
    "refuse_held",
    "revert",
    "running_on_codes",
    "save",
    "save_onnx",
    "scheme_named",
    "set_bits",
    "shared_normalization",
    "shift_is_exact",
    "storage",
]
