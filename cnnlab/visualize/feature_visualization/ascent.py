"""Gradient ascent in the space of images: many patterns at once, each towards a score of its own."""

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import keras
import numpy as np
import tensorflow as tf

from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1, BELOW_1, POSITIVE
from cnnlab.config.types import shown
from cnnlab.errors import UserError
from cnnlab.visualize.feature_visualization.regularizers import lp_norm, total_variation
from cnnlab.visualize.layers import computing_layers
from cnnlab.visualize.progress import track

Score = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(images float32 (n, H, W, C) from 0 to 255, targets int32 (n,)) -> (n,), of which image i is to maximise entry i."""

CHUNK_BYTES = 1 << 30
"""What the activations of the patterns that ascend at the same time may take, gradients included."""

BLOCK = 25
"""Iterations in one call of the compiled function, after which the progress bar moves."""

TRIAL = 3
"""Blocks after which the best start of each target goes on alone."""

OPPONENT_COLORS = np.array([[1, 1, 1], [1.22, 0, -1.22], [0.71, -1.41, 0.71]], np.float32)
"""Brightness, red against blue and green against magenta: nearly the principal axes of colour in photographs."""

COLOR_DEVIATIONS = np.array([[1.0], [0.27], [0.125]], np.float32)
"""Relative standard deviations along these axes, nearly those of CIFAR-10."""

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Ascent:
    """How patterns ascend.

    A pattern is `255 · sigmoid(latent)`, thus always a valid image. Per iteration the gradient of its score towards
    its pixels is scaled to a root mean square of 1, so that the weights of the penalties mean the same
    for all targets and networks; the penalties' gradients are taken off; and Adam (Kingma & Ba 2015) moves the latent.

    Attributes:
        starts: brightnesses, before the sigmoid, of the noise that each target starts from; 0 is mid-grey. Of several,
            the one that has come farthest after 75 iterations goes on: where a filter is dead on grey, there is
            little to climb.
        contrast: standard deviation of that noise, before the sigmoid.
        iterations: of each pass.
        learning_rate: of Adam.
        parametrization: what the latent is: pixels, or coefficients of Fourier waves whose amplitude falls with their
            frequency as it does in photographs (Olah, Mordvintsev & Schubert, "Feature visualization", 2017,
            section "Preconditioning and parameterization").
        decorrelate: whether the latent's three channels are brightness and two opponent colours, in the proportions
            of photographs, instead of red, green and blue (the same section). Nothing to images of other depths.
        jitter: how far at most the network sees the patterns moved, around the edges, anew each iteration; a share of
            the image's shorter side.
        blur: standard deviation in pixels of the Gaussian blur through which the network sees the patterns at first; it
            falls linearly to 0 at the end of a pass.
        total_variation: weight of `regularizers.total_variation`.
        norm: weight of `regularizers.lp_norm` of the distance from mid-grey, which is 1 for black and white.
        norm_order: its p.
        passes: how often to ascend. Each further pass starts from the result of the one before, faded to the
            contrast of a first start, with Adam, jitter and blur anew: strong structure survives, accidents do not.

    Raises:
        UserError: there is no brightness to start from.
    """

    starts: Sequence[float] = (-3.0, 0.0, 3.0)
    contrast: Annotated[float, POSITIVE] = 1.0
    iterations: Annotated[int, AT_LEAST_1] = 300
    learning_rate: Annotated[float, POSITIVE] = 0.2
    parametrization: Literal["fourier", "pixels"] = "fourier"
    decorrelate: bool = True
    jitter: Annotated[float, BELOW_1] = 0.07
    blur: Annotated[float, AT_LEAST_0] = 0.0
    total_variation: Annotated[float, AT_LEAST_0] = 0.0
    norm: Annotated[float, AT_LEAST_0] = 0.0
    norm_order: Annotated[int, AT_LEAST_1] = 6
    passes: Annotated[int, AT_LEAST_1] = 1

    def __post_init__(self) -> None:
        if not self.starts or not np.isfinite(self.starts).all():
            raise UserError(f"method.ascent.starts={shown([*self.starts])}: must be one brightness or more")


def ascend(
    score: Score, targets: Sequence[int], noise: np.ndarray, ascent: Ascent, *, seed: int, chunk: int, what: str
) -> np.ndarray:
    """Find images that maximise a score, up to `chunk` targets as one batch in one compiled function.

    Each pattern depends on its own noise and target alone, up to rounding, whichever ascend beside it.

    Args:
        score: differentiable; may be traced.
        targets: integers that are passed to the score, one per pattern.
        noise: float32 (n, H, W, C), see `starting_noise`.
        ascent: how.
        seed: of the jitter.
        chunk: the most patterns at a time.
        what: is being done, for the progress bar.

    Returns:
        The patterns, float32 (n, H, W, C) from 0 to 255.
    """
    climber = _Climber(score, ascent, noise.shape[1:], seed)
    blocks = [(start, number) for start in range(0, len(noise), chunk) for number in range(climber.blocks)]
    patterns = []
    for start, number in track(blocks, what):
        if number == 0:
            climber.begin(noise[start : start + chunk], np.asarray(targets[start : start + chunk], np.int32))
        climber.climb(number)
        if number == climber.blocks - 1:
            patterns.append(climber.images())
    return np.concatenate(patterns)


def starting_noise(seed: int, what: str, targets: Sequence[int], image_shape: Sequence[int]) -> np.ndarray:
    """Standard normal noise, of each target its own: it depends on (seed, what, target) alone.

    Args:
        seed: not negative.
        what: such as the name of the layer whose filters the targets are.
        targets: not negative.
        image_shape: (H, W, C).

    Returns:
        Float32 (n, H, W, C).
    """
    streams = [np.random.default_rng([seed, zlib.crc32(what.encode()), target]) for target in targets]
    return np.stack([stream.normal(size=image_shape).astype(np.float32) for stream in streams])


def patterns_per_chunk(network: keras.Model, ascent: Ascent) -> int:
    """How many patterns may ascend at a time without the network's activations growing beyond `CHUNK_BYTES`."""
    outputs = [layer.output.shape[1:] for layer in computing_layers(network).values()]
    per_pattern = len(ascent.starts) * 2 * 4 * sum(math.prod(shape) for shape in outputs)
    return max(1, CHUNK_BYTES // per_pattern)


class _Climber:
    """The compiled steps of an ascent, which serve all chunks and passes.

    Attributes:
        blocks: calls of `climb` that a chunk takes.
    """

    def __init__(self, score: Score, ascent: Ascent, image_shape: Sequence[int], seed: int):
        self._score, self._ascent, self._seed = score, ascent, seed
        self._image_shape = height, width, channels = tuple(image_shape)
        self._waves = _waves(height), _waves(width)
        self._amplitudes = _amplitudes(height, width)
        self._colors = COLOR_DEVIATIONS * OPPONENT_COLORS if ascent.decorrelate and channels == 3 else None
        self._uniform = self._latents_of_one()
        self._run = self._compiled()
        self._per_pass = math.ceil(ascent.iterations / BLOCK)
        self.blocks = ascent.passes * self._per_pass

    def _compiled(self) -> Callable[..., Sequence[tf.Tensor]]:
        patterns, number = tf.TensorSpec((None, *self._image_shape)), tf.TensorSpec((), tf.int32)
        targets, seed = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((2,), tf.int32)
        signature = [patterns, patterns, patterns, targets, number, number, seed]
        # The concrete function: TensorFlow would take the ascents of several layers for one that is retraced.
        return tf.function(self._iterations, input_signature=signature, autograph=False).get_concrete_function()

    def begin(self, noise: np.ndarray, targets: np.ndarray) -> None:
        candidates = [self._ascent.contrast * noise + start * self._uniform for start in self._ascent.starts]
        self._latents = tf.constant(np.concatenate(candidates))
        self._targets = tf.constant(np.tile(targets, len(candidates)))

    def climb(self, block: int) -> None:
        number, place = divmod(block, self._per_pass)
        if place == 0:
            if number:
                deviations = tf.math.reduce_std(self._latents, axis=(1, 2, 3), keepdims=True)
                self._latents *= tf.math.divide_no_nan(self._ascent.contrast, deviations)
            self._moments = [tf.zeros_like(self._latents), tf.zeros_like(self._latents)]
        first, last = place * BLOCK, min((place + 1) * BLOCK, self._ascent.iterations)
        seed = tf.constant([self._seed, number])
        bounds = tf.constant(first), tf.constant(last)
        self._latents, *self._moments = self._run(self._latents, *self._moments, self._targets, *bounds, seed)
        if number == 0 and place == min(TRIAL, self._per_pass) - 1:
            self._keep_the_best()

    def _keep_the_best(self) -> None:
        scores = self._score(255 * self._draw(self._latents), self._targets)
        scores = tf.reshape(scores, (len(self._ascent.starts), -1))
        count = scores.shape[1]
        best = tf.argmax(scores, axis=0, output_type=tf.int32) * count + tf.range(count)
        self._targets = self._targets[:count]
        self._latents, *self._moments = (tf.gather(kept, best) for kept in (self._latents, *self._moments))

    def images(self) -> np.ndarray:
        return 255 * self._draw(self._latents).numpy()

    def _iterations(
        self,
        latents: tf.Tensor,
        first_moments: tf.Tensor,
        second_moments: tf.Tensor,
        targets: tf.Tensor,
        first: tf.Tensor,
        last: tf.Tensor,
        seed: tf.Tensor,
    ) -> Sequence[tf.Tensor]:
        def step(
            iteration: tf.Tensor, latents: tf.Tensor, first_moments: tf.Tensor, second_moments: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            gradients = self._latent_gradients(latents, targets, iteration, seed)
            first_moments = BETA_1 * first_moments + (1 - BETA_1) * gradients
            second_moments = BETA_2 * second_moments + (1 - BETA_2) * gradients**2
            count = tf.cast(iteration + 1, tf.float32)
            rate = self._ascent.learning_rate * tf.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
            latents += rate * first_moments / (tf.sqrt(second_moments) + EPSILON)
            return iteration + 1, latents, first_moments, second_moments

        state = (first, latents, first_moments, second_moments)
        return tf.while_loop(lambda iteration, *_: iteration < last, step, state, parallel_iterations=1)[1:]

    def _latent_gradients(
        self, latents: tf.Tensor, targets: tf.Tensor, iteration: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as drawing:
            drawing.watch(latents)
            images = self._draw(latents)
        with tf.GradientTape(watch_accessed_variables=False) as scoring:
            scoring.watch(images)
            scores = self._score(255 * self._seen(images, iteration, seed), targets)
        gradients = scoring.gradient(scores, images)
        sizes = tf.sqrt(tf.reduce_mean(gradients**2, axis=(1, 2, 3), keepdims=True))
        gradients = tf.math.divide_no_nan(gradients, sizes) - self._penalty_gradients(images)
        return drawing.gradient(images, latents, output_gradients=gradients)

    def _penalty_gradients(self, images: tf.Tensor) -> tf.Tensor:
        """Of the penalties' sums over all pixels, whose gradient at a pixel does not shrink with the image."""
        ascent = self._ascent
        if not (ascent.total_variation or ascent.norm):
            return tf.zeros_like(images)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            penalty = ascent.total_variation * total_variation(images)
            penalty += ascent.norm * lp_norm(2 * images - 1, ascent.norm_order)
            penalty *= math.prod(images.shape[1:])
        return tape.gradient(penalty, images)

    def _latents_of_one(self) -> np.ndarray:
        """(H, W, C) latents whose image, before the sigmoid, is 1 everywhere."""
        height, width, channels = self._image_shape
        brightness = np.ones(channels, np.float32) if self._colors is None else np.eye(channels, dtype=np.float32)[0]
        if self._ascent.parametrization == "pixels":
            return np.broadcast_to(brightness, self._image_shape)
        latents = np.zeros(self._image_shape, np.float32)
        latents[0, 0] = brightness * math.sqrt(height * width) / self._amplitudes[0, 0]
        return latents

    def _draw(self, latents: tf.Tensor) -> tf.Tensor:
        """Images from 0 to 1."""
        if self._ascent.parametrization == "fourier":
            rows, columns = self._waves
            latents = _along_rows(columns, _along_columns(rows, latents * self._amplitudes))
        return tf.sigmoid(latents if self._colors is None else latents @ self._colors)

    def _seen(self, images: tf.Tensor, iteration: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Images as the network sees them in an iteration: moved and blurred."""
        ascent = self._ascent
        jitter = round(ascent.jitter * min(self._image_shape[:2]))
        if jitter:
            draw = tf.stack([seed[0], seed[1] * ascent.iterations + iteration])
            shift = tf.random.stateless_uniform((2,), draw, -jitter, jitter + 1, tf.int32)
            images = tf.roll(images, shift, axis=(1, 2))
        if ascent.blur:
            remaining = 1 - tf.cast(iteration + 1, tf.float32) / ascent.iterations
            radius = min(math.ceil(3 * ascent.blur), *images.shape[1:3])
            images = _blurred(images, ascent.blur * remaining, radius)
        return images


def _waves(size: int) -> np.ndarray:
    """The orthonormal basis of the discrete Hartley transform: real waves, one per column."""
    position = np.arange(size)
    angles = 2 * np.pi * np.outer(position, position) / size
    return ((np.cos(angles) + np.sin(angles)) / np.sqrt(size)).astype(np.float32)


def _along_columns(waves: np.ndarray, latents: tf.Tensor) -> tf.Tensor:
    """Add up waves (H, H) along the second axis of (n, H, W, C), as products of matrices that need no transposition."""
    height, width, channels = latents.shape[1:]
    return tf.reshape(waves @ tf.reshape(latents, (-1, height, width * channels)), (-1, height, width, channels))


def _along_rows(waves: np.ndarray, latents: tf.Tensor) -> tf.Tensor:
    """The same along the third axis with waves (W, W)."""
    height, width, channels = latents.shape[1:]
    if channels == 1:  # one large product instead of many small ones
        return tf.reshape(tf.matmul(tf.reshape(latents, (-1, width)), waves, transpose_b=True), (-1, height, width, 1))
    return tf.matmul(waves, latents)


def _amplitudes(height: int, width: int) -> np.ndarray:
    """One over the frequency of each wave, (H, W, 1), with a mean square of 1."""
    frequencies = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width))
    amplitudes = 1 / np.maximum(frequencies, 1 / max(height, width))
    return (amplitudes / np.sqrt((amplitudes**2).mean())).astype(np.float32)[..., np.newaxis]


def _blurred(images: tf.Tensor, deviation: tf.Tensor, radius: int) -> tf.Tensor:
    """Gaussian blur; a deviation of 0 leaves images as they are."""
    distances = tf.range(-radius, radius + 1, dtype=tf.float32)
    weights = tf.exp(-0.5 * (distances / tf.maximum(deviation, 1e-3)) ** 2)
    weights /= tf.reduce_sum(weights)
    channels = images.shape[-1]
    padded = tf.pad(images, [[0, 0], [radius, radius], [radius, radius], [0, 0]], "SYMMETRIC")
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        kernel = tf.tile(tf.reshape(weights, shape), [1, 1, channels, 1])
        padded = tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")
    return padded
