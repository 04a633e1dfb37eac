"""Moving the pixels of an image so that a loss falls."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import OptimizeResult, minimize

from cnnlab.visualize.progress import track
from cnnlab.visualize.style.losses import Losses

WHITE = 255.0
ADAM_EPSILON = 1e-14  # far below the gradient of one pixel, which falls with their number: else the steps would, too

Optimizer = Literal["adam", "lbfgs"]

Evaluate = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From an image (1, H, W, 3) to its losses (3,) and the gradient of their sum."""


@dataclass(frozen=True)
class Descent:
    """How an image descends.

    Attributes:
        optimizer: adam (Kingma & Ba 2015), or lbfgs: L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995), as the paper on style
            transfer does. Both keep every value from 0 to 255.
        iterations: updates of the image.
        learning_rate: of Adam, in grey levels.
        progress_every: iterations between images that are kept.
    """

    optimizer: Optimizer
    iterations: int
    learning_rate: float
    progress_every: int


@dataclass(frozen=True)
class Descended:
    """What a descent led to.

    Attributes:
        images: by iteration, the start and the last among them, float32 (H, W, 3) from 0 to 255.
        losses: float32 (iterations + 1, 3), see `Losses`, before the first and after every iteration.
    """

    images: dict[int, np.ndarray]
    losses: np.ndarray

    @property
    def result(self) -> np.ndarray:
        return self.images[max(self.images)]


def descend(losses: Losses, start: np.ndarray, descent: Descent, what: str) -> Descended:
    """Lower the sum of the losses.

    Args:
        losses: see `Losses`; compiled here.
        start: float32 (H, W, 3) from 0 to 255.
        what: is being done, for the progress bar.
    """
    run = _adam if descent.optimizer == "adam" else _lbfgs
    images, history = run(losses_and_gradient(losses), start, descent, what)
    return Descended(images, np.stack(history))


def losses_and_gradient(losses: Losses) -> Evaluate:
    """A compiled function from an image (1, H, W, 3) to its losses (3,) and the gradient of their sum, as the image."""

    @tf.function(reduce_retracing=True)
    def evaluate(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.convert_to_tensor(image)
        with tf.GradientTape() as tape:
            tape.watch(image)
            terms = losses(image)
            total = tf.reduce_sum(terms)
        return terms, tape.gradient(total, image)

    return evaluate


def _adam(
    evaluate: Evaluate, start: np.ndarray, descent: Descent, what: str
) -> tuple[dict[int, np.ndarray], list[np.ndarray]]:
    image = keras.Variable(start[np.newaxis], dtype="float32")
    optimizer = keras.optimizers.Adam(float(descent.learning_rate), epsilon=ADAM_EPSILON)
    optimizer.build([image])

    @tf.function
    def update() -> tf.Tensor:
        terms, gradient = evaluate(image.value)
        optimizer.apply([gradient], [image])
        image.assign(tf.clip_by_value(image.value, 0.0, WHITE))
        return terms

    images, history = {0: start}, []
    for iteration in track(range(1, descent.iterations + 1), what):
        history.append(update())
        if iteration % descent.progress_every == 0 or iteration == descent.iterations:
            images[iteration] = image.numpy()[0]
    history.append(evaluate(image.value)[0])
    return images, history


def _lbfgs(
    evaluate: Evaluate, start: np.ndarray, descent: Descent, what: str
) -> tuple[dict[int, np.ndarray], list[np.ndarray]]:
    latest = np.zeros(3, np.float32)
    # The first step has length 1: in this unit one grey level per value, of which float32 losses feel something.
    unit = np.sqrt(start.size)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        terms, gradient = evaluate(tf.constant(unit * flat.reshape(1, *start.shape), tf.float32))
        latest[:] = terms
        return float(latest.sum(dtype=np.float64)), unit * gradient.numpy().astype(np.float64).ravel()

    loss(start / unit)
    images, history = {0: start}, [latest.copy()]

    def accept(intermediate_result: OptimizeResult) -> None:
        # A line search ends with the evaluation of the image it accepts.
        history.append(latest.copy())
        next(bar, None)
        iteration = len(history) - 1
        if iteration % descent.progress_every == 0:
            images[iteration] = _image(unit * intermediate_result.x, start.shape)

    with closing(track(range(descent.iterations), what)) as bar:
        found = minimize(
            loss,
            start.ravel().astype(np.float64) / unit,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, WHITE / unit)] * start.size,
            callback=accept,
            # It is the number of iterations that ends it: the tolerances are for float64.
            options={"maxiter": descent.iterations, "maxfun": 20 * descent.iterations, "ftol": 0, "gtol": 0},
        )
    images[len(history) - 1] = _image(unit * found.x, start.shape)
    return images, history


def _image(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return flat.reshape(shape).astype(np.float32)
