"""ONNX Runtime: a model of one operator, its inputs and output bound to the case's buffers.

Both operands of a product are inputs. A constant right-hand side would be packed once, before the
timing; our kernels pack inside the call, so this is the same work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from bench.measure.cases.case import Called
from bench.measure.peers.adapter import Peer
from bench.measure.peers.numpy_peer import Array, as_array
from bench.measure.peers.onnx_models import OnnxModels

_OPSET = 20  # the first with Gelu
_TYPES = {"f": TensorProto.FLOAT, "b": TensorProto.INT8, "B": TensorProto.UINT8}
_TYPES["i"] = TensorProto.INT32


class OnnxRuntime(OnnxModels, Peer):
    name = "onnxruntime"
    version = str(onnxruntime.__version__)
    view = staticmethod(as_array)

    def relu_f32(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        return _bound("Relu", [x], out, threads)

    def softmax_f32(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        return _bound("Softmax", [x], out, threads, axis=1)

    def gelu_tanh_f32(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        return _bound("Gelu", [x], out, threads, approximate="tanh")

    def gelu_erf_f32(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        return _bound("Gelu", [x], out, threads, approximate="none")

    def quantize_f32_i8(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        # Its range is [-128, 127]; the values of a case reach -127 at most.
        constants = [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / case.scale]),
            helper.make_tensor("zero", TensorProto.INT8, [], [0]),
        ]
        return _bound("QuantizeLinear", [x], out, threads, constants)

    def matmul_f32(self, case: Any, threads: int, a: Array, b: Array, out: Array) -> Called:
        return _bound("MatMul", [a, b], out, threads)

    def matmul_i8_i32(self, case: Any, threads: int, a: Array, b: Array, out: Array) -> Called:
        """uint8 times int8, its fast path; int8 times int8 is several times slower. a is stored as
        a + 128 with the zero point 128: the same values. Without VNNI instructions this path adds
        pairs of products in 16 bits, which saturates."""
        shifted = (a.astype(np.int16) + 128).astype(np.uint8)
        constants = [helper.make_tensor("zero", TensorProto.UINT8, [], [128])]
        return _bound("MatMulInteger", [shifted, b], out, threads, constants)


def _bound(
    operator: str,
    inputs: list[Array],
    out: Array,
    threads: int,
    constants: list[Any] | None = None,
    **attributes: Any,
) -> Called:
    """A session of this one operator. `constants` are further inputs, part of the model."""
    constants = constants or []
    names = [f"input{number}" for number in range(len(inputs))]
    node = helper.make_node(operator, [*names, *(c.name for c in constants)], ["out"], **attributes)
    given = [_declared(name, array) for name, array in zip(names, inputs, strict=True)]
    graph = helper.make_graph([node], operator, given, [_declared("out", out)], constants)
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(
        graph,
        opset_imports=[opset],
        # The oldest format that knows the opset: onnx may be newer than onnxruntime.
        ir_version=helper.find_min_ir_version_for([opset]),
    )
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    for name, array in zip(names, inputs, strict=True):
        # Holds on to the array, and does not copy it.
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    place = (out.dtype, out.shape, out.ctypes.data)
    binding.bind_output("out", "cpu", 0, *place)
    return session.run_with_iobinding, (binding,)


def _declared(name: str, array: Array) -> Any:
    return helper.make_tensor_value_info(name, _TYPES[array.dtype.char], array.shape)
