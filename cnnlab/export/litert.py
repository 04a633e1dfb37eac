"""LiteRT (formerly TensorFlow Lite), by TensorFlow's converter: for phones and small devices."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python.convert_phase import ConverterError

from cnnlab.errors import UserError
from cnnlab.export.prepared import CLASS_NAMES, INPUT, OUTPUT, Prepared

_LACKING = re.compile(r"'tf\.(?P<op>\w+)' op is neither a custom op nor a flex op")
_PLACE = re.compile(r'"(?P<node>[^"@]+/[^"@]+)@')
"""The first path of layers in a message: of the operation itself."""


def write(prepared: Prepared, precision: str, path: Path) -> None:
    """Write a .tflite file; like the files of TensorFlow Lite's metadata it is also a zip, with the class names.

    Args:
        prepared: what to write.
        precision: float32; float16, in which the weights are stored in half the bytes and computed with in float32; or
            int8: weights per channel and feature maps in 8 bits, their ranges those that `prepared.calibration` shows,
            while preprocessing and probabilities stay float32.
        path: of the file.

    Raises:
        UserError: LiteRT has no such operation; the message names the layer.
        OSError: the disk is full or read-only.
    """
    with TemporaryDirectory() as folder:
        _save_frozen(prepared, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            content = _quantized(converter, prepared) if precision == "int8" else converter.convert()
        except ConverterError as error:
            raise UserError(f"format=litert: {_reason(str(error))}") from error
    path.write_bytes(content)
    if prepared.class_names_json is not None:
        with ZipFile(path, "a") as archive:
            archive.writestr(ZipInfo(f"{CLASS_NAMES}.json"), prepared.class_names_json)


def load(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function in a .tflite file, from uint8 images to probabilities.

    Args:
        path: of the file.
        threads: that an operation may use.

    Raises:
        Exception: the file is damaged.
    """
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()  # now rather than at the first call: it tells the terminal of it
    run = interpreter.get_signature_runner()
    return lambda images: run(**{INPUT: images})[OUTPUT]


def _save_frozen(prepared: Prepared, folder: Path) -> None:
    """Write the graph of constants as a SavedModel: of variables the converter makes some that are never filled."""

    graph = prepared.frozen

    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        (probabilities,) = tf.import_graph_def(graph, {f"{INPUT}:0": images}, [f"{OUTPUT}:0"], name="")
        return {OUTPUT: probabilities}

    signature = [tf.TensorSpec(prepared.model.input_shape, tf.uint8, name=INPUT)]
    module = tf.Module()
    module.serve = tf.function(serve, input_signature=signature, autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})


def _quantized(converter: tf.lite.TFLiteConverter, prepared: Prepared) -> bytes:
    """The file in int8, but for what makes probabilities: in 256 steps these would not sum to 1.

    TensorFlow's debugger is what leaves operations out of a quantisation ("selective quantization" in its guides).
    """
    head = "LOGISTIC" if prepared.model.output_shape[-1] == 1 else "SOFTMAX"
    converter.representative_dataset = lambda: _one_by_one(prepared.calibration)
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=[head])
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=converter.representative_dataset, debug_options=options
    )
    return debugger.get_nondebug_quantized_model()


def _one_by_one(images: np.ndarray) -> Iterator[list[np.ndarray]]:
    return ([images[index : index + 1]] for index in range(len(images)))


def _reason(message: str) -> str:
    lacking, place = _LACKING.search(message), _PLACE.search(message)
    if lacking is None:
        return " ".join(message.split())[:300]
    return f"has no operation {lacking['op']}" + (f", which {place['node']} needs" if place else "")
