"""Magika's network and where its weights lie in the file: a convolution over 512 groups of 4 bytes.

    tokens [2048]  512 groups of 4 (bytes; 256 is padding)
    embedding      each token's row of a table [257, 64], so [512, 256]
    layernorm      of each of the 256 channels over the 512 positions
    convolution    5 positions wide, without padding: [508, 512]
    GELU, max      over the positions: [512]
    layernorm, dense, softmax: [214]

In the file, the embedding is a product of one-hot rows with a matrix, a bias and GELU (tanh). That
depends on nothing but the token, so it is computed once for each of the 257: a table in place of a
product. The model is Google's: https://github.com/google/magika.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from dataclasses import dataclass

from engine.errors import BadInput
from engine.onnx import Graph, Tensor
from kernels_py import gelu_tanh

TOKENS, PADDING = 2048, 256
BYTES = 4  # tokens of a position
POSITIONS, CHANNELS = TOKENS // BYTES, 256
TAPS, FEATURES = 5, 512
OUTPUTS = POSITIONS - TAPS + 1
LABELS = 214
WINDOW = TAPS * CHANNELS  # what one output of the convolution sees

# Of operators, how they are wired, each tensor's type and dimensions, and each constant that is
# no weight. A new export may name its tensors anew; it then needs a look, and a new line here.
_GRAPH = "29e44a423a0499811d691bb985f58a8d694cb9ad538fbd806c5892fb6b84e763"

_ROOT = "jax2tf_get_logits_/"
_LAYERS = f"{_ROOT}pjit_get_logits_/MagikaV2/"
_WEIGHTS = (
    f"{_ROOT}Const:0",
    f"{_LAYERS}Dense_0/Reshape:0",
    f"{_LAYERS}LayerNorm_0/Reshape_2:0",
    f"{_LAYERS}LayerNorm_0/Reshape_3:0",
    f"{_LAYERS}Conv_0/transpose_3:0",
    "const_fold_opt__209",
    f"{_LAYERS}LayerNorm_1/Reshape_2:0",
    f"{_LAYERS}LayerNorm_1/Reshape_3:0",
    f"{_ROOT}Const_24:0",
    f"{_LAYERS}Dense_1/Reshape:0",
)
_EPSILON = f"{_ROOT}Const_21:0"


@dataclass(frozen=True)
class Weights:
    """float32, flat, row-major."""

    table: array[float]  # [257, 64]
    gain_1: array[float]  # [512], of the positions
    bias_1: array[float]
    convolution: array[float]  # [5 * 256, 512], rows in the order (tap, channel)
    convolution_bias: array[float]  # [512]
    gain_2: array[float]  # [512]
    bias_2: array[float]
    dense: array[float]  # [512, 214]
    dense_bias: array[float]  # [214]
    epsilon: float


def weights_of(graph: Graph) -> Weights:
    """Of the graph that this network is written for; BadInput for any other."""
    if _fingerprint(graph) != _GRAPH:
        raise BadInput(
            "this model is not built as Magika's standard_v3_3, the one that the engine knows"
        )
    parts = [graph.initializers[name] for name in _WEIGHTS]
    for part in parts:
        if not all(map(math.isfinite, part.values)):
            raise BadInput(f"tensor {part.name}: holds NaN or infinity")
    embedding, bias, gain_1, bias_1, kernel, kernel_bias, gain_2, bias_2, dense, dense_bias = (
        part.values for part in parts
    )
    return Weights(
        _table(embedding, bias),
        gain_1,
        bias_1,
        _rows(kernel),
        kernel_bias,
        gain_2,
        bias_2,
        dense,
        dense_bias,
        graph.initializers[_EPSILON].values[0],
    )


def _table(embedding: array[float], bias: array[float]) -> array[float]:
    sums = [w + bias[i % len(bias)] for i, w in enumerate(embedding)]
    return array("f", gelu_tanh.reference(sums))


def _rows(kernel: array[float]) -> array[float]:
    """[feature, channel, tap] as a matrix whose rows are (tap, channel) and columns features."""
    rows = array("f")
    for tap in range(TAPS):
        for channel in range(CHANNELS):
            rows += kernel[channel * TAPS + tap :: WINDOW]
    return rows


def _fingerprint(graph: Graph) -> str:
    nodes = [(n.op_type, n.inputs, n.outputs, sorted(n.attributes.items())) for n in graph.nodes]
    tensors = sorted(graph.initializers.values(), key=lambda tensor: tensor.name)
    constants = [(t.name, t.dims, None if _is_weight(t) else t.values.tolist()) for t in tensors]
    return hashlib.sha256(repr((nodes, constants)).encode()).hexdigest()


def _is_weight(tensor: Tensor) -> bool:
    return tensor.values.typecode == "f" and len(tensor.values) > 1
