"""verse as an ONNX model, in the operators that ONNX Runtime has kernels of its own for.

A prompt, from position 0 on: tokens and positions [count] -> logits [1, vocabulary] of the last,
and for each layer the keys and values [heads, count, d].

A token: the same of one, and for each layer keys and values [1, heads, context, d], into which its
own are written where they lie. That is GroupQueryAttention, ONNX Runtime's own operator: with
ONNX's the cache would be copied for each token, which took a quarter longer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET = 20  # the first with Gelu
_EPSILON = 1e-5


class _Graph:
    """Nodes and constants, in the order in which they are asked for."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, name: str = "", **given: Any) -> Any:
        names = [name or f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **given))
        return names[0] if outputs == 1 else names


def model_of(gpt: Any, count: int, cached: bool, gemm: bool) -> Any:
    """The ModelProto of an engine.gpt.Gpt for a prompt, or, `cached`, for a token.

    gemm   products and biases in one operator; in two where the products are to be quantised
    """
    config, graph = gpt.config, _Graph()
    width, heads = config.width, config.heads
    d = width // heads

    def weight(name: str, *shape: int) -> str:
        return graph.constant(name, np.frombuffer(gpt.weights[name], np.float32).reshape(shape))

    def norm(x: str, name: str) -> str:
        gain, bias = weight(f"{name}.weight", width), weight(f"{name}.bias", width)
        return str(graph.op("LayerNormalization", x, gain, bias, axis=-1, epsilon=_EPSILON))

    def linear(x: str, name: str, k: int, n: int) -> str:
        w, bias = weight(f"{name}.weight", k, n), weight(f"{name}.bias", n)
        if gemm:
            return str(graph.op("Gemm", x, w, bias))
        return str(graph.op("Add", graph.op("MatMul", x, w), bias))

    split = graph.constant("split", np.array([count, 3 * heads, d], np.int64))
    joined = graph.constant("joined", np.array([-1, width], np.int64))
    thirds = graph.constant("thirds", np.array([heads] * 3, np.int64))
    scale = graph.constant("scale", np.float32(1 / math.sqrt(d)))
    table = weight("wte.weight", config.vocabulary, width)
    positions = weight("wpe.weight", config.context, width)
    rows = graph.op("Gather", positions, "positions")
    x = graph.op("Add", graph.op("Gather", table, "tokens"), rows)
    unseen: Any = np.triu(np.full((count, count), -np.inf, np.float32), 1)

    def attention(qkv: str, i: int) -> str:
        """[count, width] of queries, keys and values [count, 3 width]."""
        if cached:
            memory = [f"keys_{i}", f"values_{i}"]
            given = [graph.op("Reshape", qkv, "one_row"), "", "", *memory, "before", "total"]
            into = [f"attended_{i}", *(f"new_{name}" for name in memory)]
            attributes = {"domain": "com.microsoft", "num_heads": heads, "kv_num_heads": heads}
            graph.nodes.append(helper.make_node("GroupQueryAttention", given, into, **attributes))
            return str(graph.op("Reshape", into[0], joined))
        by_head = graph.op("Transpose", graph.op("Reshape", qkv, split), perm=[1, 0, 2])
        query, keys, values = graph.op("Split", by_head, thirds, outputs=3, axis=0)
        graph.op("Identity", keys, name=f"new_keys_{i}")
        graph.op("Identity", values, name=f"new_values_{i}")
        if i == config.layers - 1:
            query = graph.op("Gather", query, "last", axis=1)
        turned = graph.op("Transpose", keys, perm=[0, 2, 1])
        scores = graph.op("Mul", graph.op("MatMul", query, turned), scale)
        if i < config.layers - 1:  # the last token attends to all
            scores = graph.op("Add", scores, "mask")
        mixed = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), values)
        return str(graph.op("Reshape", graph.op("Transpose", mixed, perm=[1, 0, 2]), joined))

    if cached:
        graph.constant("one_row", np.array([1, count, 3 * width], np.int64))
    else:
        graph.constant("mask", unseen)
        graph.constant("last", np.array([count - 1], np.int64))
    for i in range(config.layers):
        layer = f"h.{i}"
        qkv = linear(norm(x, f"{layer}.ln_1"), f"{layer}.attn.c_attn", width, 3 * width)
        attended = attention(qkv, i)
        if i == config.layers - 1 and not cached:  # what follows goes row by row
            x = graph.op("Gather", x, "last", axis=0)
        x = graph.op("Add", x, linear(attended, f"{layer}.attn.c_proj", width, width))
        wide = linear(norm(x, f"{layer}.ln_2"), f"{layer}.mlp.c_fc", width, config.hidden)
        wide = graph.op("Gelu", wide, approximate="tanh")
        x = graph.op("Add", x, linear(wide, f"{layer}.mlp.c_proj", config.hidden, width))
    head = np.frombuffer(gpt.weights["wte.weight"], np.float32).reshape(-1, width).T
    graph.op("MatMul", norm(x, "ln_f"), graph.constant("head", head), name="logits")
    return _complete(graph, config, count, cached)


def _complete(graph: _Graph, config: Any, count: int, cached: bool) -> Any:
    """The graph with its inputs and outputs, as a model that has been checked."""
    heads, d = config.heads, config.width // config.heads

    def declared(name: str, kind: int, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    parts = [f"{what}_{i}" for i in range(config.layers) for what in ("keys", "values")]
    inputs = [declared(name, TensorProto.INT64, count) for name in ("tokens", "positions")]
    shape = (1, heads, config.context, d) if cached else (heads, count, d)
    if cached:
        inputs += [declared(name, TensorProto.INT32, 1) for name in ("before", "total")]
        inputs += [declared(name, TensorProto.FLOAT, *shape) for name in parts]
    outputs = [declared("logits", TensorProto.FLOAT, 1, config.vocabulary)]
    outputs += [declared(f"new_{name}", TensorProto.FLOAT, *shape) for name in parts]
    made = helper.make_graph(graph.nodes, "verse", inputs, outputs, graph.constants)
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(
        made,
        opset_imports=[opset, helper.make_opsetid("com.microsoft", 1)],
        ir_version=helper.find_min_ir_version_for([opset]),
    )
    onnx.checker.check_model(model)
    return model
