"""Whole models in ONNX Runtime: verse as onnx_gpt.py writes it, magika as its package ships it.

All inputs and outputs are bound to memory that is there already. int8 is its own dynamic
quantisation: weights as int8 by a scale a matrix, activations by a scale a matrix at each call.
That is its fastest form: with a scale a column a token took a tenth longer, with uint8 weights a
prompt.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from bench.measure.cases.case import Called
from bench.measure.peers.numpy_peer import Array
from bench.measure.peers.onnx_gpt import model_of

_MAGIKA = "magika/models/standard_v3_3/model.onnx"


class OnnxModels:
    """The programs of the adapter for ONNX Runtime."""

    def prefill_f32(self, case: Any, threads: int, out: Array) -> Called:
        return self._verse(case, threads, out, cached=False)

    def decode_f32(self, case: Any, threads: int, out: Array) -> Called:
        return self._verse(case, threads, out, cached=True)

    prefill_i8, decode_i8 = prefill_f32, decode_f32

    def _verse(self, case: Any, threads: int, out: Array, cached: bool) -> Called:
        precision = case.kernel.precision
        model = model_of(case.model, case.count, cached, gemm=precision == "f32")
        inputs = _inputs(case, case.start, case.count)
        outputs = {"logits": out.reshape(1, -1)}
        if cached:
            inputs["before"] = np.array([case.start], np.int32)
            inputs["total"] = np.array([case.start + 1], np.int32)
            cache = _cache_before(case)
            inputs |= cache
            outputs |= {f"new_{name}": array for name, array in cache.items()}
        return bound(session_of(model, threads, precision), inputs, outputs)

    def identify_f32(self, case: Any, threads: int, out: Array) -> Called:
        """In float32 for int8, too: ConvInteger, which its quantisation makes of the convolution,
        takes three times as long as its float32."""
        package = importlib.metadata.distribution("magika")
        model = onnx.load(str(package.locate_file(_MAGIKA)))
        session = session_of(model, threads)
        tokens = np.array(case.tokens, np.int32).reshape(1, -1)
        return bound(session, {"bytes": tokens}, {"target_label": out.reshape(1, -1)})

    identify_i8 = identify_f32


def session_of(model: Any, threads: int, precision: str = "f32") -> Any:
    if precision == "i8":
        model = _quantized(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _quantized(model: Any) -> Any:
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().addFilter(lambda record: "pre-processing before" not in record.getMessage())
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder, "quantized.onnx")
        # The type of what another domain's operator gives, which it cannot infer.
        default = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(model, into, weight_type=QuantType.QInt8, extra_options=default)
        return onnx.load(str(into))


def _inputs(case: Any, start: int, count: int) -> dict[str, Array]:
    tokens = np.frombuffer(case.tokens[start : start + count], np.uint8)
    return {
        "tokens": tokens.astype(np.int64),
        "positions": np.arange(start, start + count, dtype=np.int64),
    }


def _cache_before(case: Any) -> dict[str, Array]:
    """Keys and values of the tokens before, by the same library in float32, in memory for all."""
    config, start = case.model.config, case.start
    names = [f"{what}_{i}" for i in range(config.layers) for what in ("keys", "values")]
    size = (1, config.heads, config.context, config.width // config.heads)
    cache = {name: np.zeros(size, np.float32) for name in names}
    if start:
        session = session_of(model_of(case.model, start, cached=False, gemm=True), 1)
        found = session.run([f"new_{name}" for name in names], _inputs(case, 0, start))
        for name, values in zip(names, found, strict=True):
            cache[name][0, :, :start] = values
    return cache


def bound(session: Any, inputs: dict[str, Array], outputs: dict[str, Array]) -> Called:
    """A run on these very arrays; outputs that are not given get memory here, once."""
    binding = session.io_binding()
    kept = list(inputs.values())
    for name, array in inputs.items():
        place = (array.dtype, list(array.shape), array.ctypes.data)
        binding.bind_input(name, "cpu", 0, *place)
    for output in session.get_outputs():
        array = outputs.get(output.name)
        if array is None:
            array = np.empty(output.shape, np.float32)
            kept.append(array)
        binding.bind_output(output.name, "cpu", 0, np.float32, list(array.shape), array.ctypes.data)

    def run() -> None:
        session.run_with_iobinding(binding)

    run.memory = kept  # type: ignore[attr-defined]  # for as long as it is called
    return run, ()
