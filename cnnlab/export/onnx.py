"""ONNX, by tf2onnx and onnxruntime: for onnxruntime on any platform, and for all that reads ONNX."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tf2onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from tf2onnx.graph import Graph, Node

from cnnlab.errors import UserError, one_line
from cnnlab.export.prepared import CLASS_NAMES, INPUT, OUTPUT, Prepared

OPSET = 18


def write(prepared: Prepared, precision: str, path: Path) -> None:
    """Write an ONNX file; its metadata have the names of the classes.

    Preprocessing and probabilities are float32 in each precision: sums over pixels are too large for float16.

    Args:
        prepared: what to write.
        precision: float32; float16, in which weights and feature maps are float16; or int8: weights per channel and
            feature maps in 8 bits, their ranges those that `prepared.calibration` shows.
        path: of the file.

    Raises:
        UserError: ONNX has no such operation; the message names the layer.
        OSError: the disk is full or read-only.
    """
    model = _convert(prepared)
    outside = [node.name for node in model.graph.node if _is_outside(node)]
    if precision == "float16":
        model = convert_float_to_float16(model, keep_io_types=True, node_block_list=outside)
        OnnxModel(model).topological_sort()  # the casts about blocked nodes come last
    if precision == "int8":
        quantize_static(
            model,
            path,
            _Images(prepared.calibration),
            per_channel=True,
            reduce_range=True,  # 7 bits of weights: where a processor has no VNNI, sums of 8-bit products saturate
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=outside,
        )
        model = onnx.load(path)
    model.graph.name = "cnnlab"
    if prepared.class_names_json is not None:
        onnx.helper.set_model_props(model, {CLASS_NAMES: prepared.class_names_json})
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise UserError(f"format=onnx: the converted graph is not valid ({one_line(error)[:200]})") from error
    onnx.save(model, path)


def load(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function in an ONNX file on the processor, from uint8 images to probabilities.

    Args:
        path: of the file.
        threads: that an operation may use.

    Raises:
        Exception: the file is damaged.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


class _Images(CalibrationDataReader):
    """Images, 16 at a time, as onnxruntime's calibration asks for them."""

    def __init__(self, images: np.ndarray):
        self._batches: Iterator[np.ndarray] = (images[start : start + 16] for start in range(0, len(images), 16))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _convert(prepared: Prepared) -> onnx.ModelProto:
    model, _ = tf2onnx.convert.from_graph_def(
        prepared.frozen,
        name=prepared.model.name,
        input_names=[f"{INPUT}:0"],
        output_names=[f"{OUTPUT}:0"],
        tensors_to_rename={f"{INPUT}:0": INPUT, f"{OUTPUT}:0": OUTPUT},
        custom_op_handlers={"Erfc": (_write_erfc, [])},
        opset=OPSET,
    )
    for node in model.graph.node:
        if not onnx.defs.has(node.op_type, node.domain):  # tf2onnx leaves what it does not know as it is
            raise UserError(f"format=onnx: has no operation {node.op_type}, which {node.name} needs")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model


def _write_erfc(graph: Graph, node: Node, name: str, arguments: list[object]) -> None:
    """1 - erf(x), of which the exact GELU is made; tf2onnx knows erf alone."""
    shapes, dtypes = [graph.get_shape(node.output[0])], [graph.get_dtype(node.output[0])]
    one = graph.make_const(f"{name}/one", np.float32(1.0))
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=dtypes)
    graph.remove_node(name)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=node.output, shapes=shapes, dtypes=dtypes)


def _is_outside(node: onnx.NodeProto) -> bool:
    """Whether a node is part of the preprocessing, or of what makes probabilities out of logits."""
    return "/preprocessing" in node.name or f"/{OUTPUT}" in node.name
