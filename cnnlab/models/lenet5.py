"""LeNet-5: as it is built today, and as it was published."""

import keras
from keras import KerasTensor

from cnnlab.errors import UserError
from cnnlab.models.blocks import POOLS, Activation, Blocks, Pooling, average_pool
from cnnlab.models.layers import ChannelSelection, NegativeSquaredDistance, scaled_tanh

SIDE = 32
"""Smaller images are centred on a canvas of this height and width, in pixels."""

THREE_ADJACENT = tuple(tuple((first + step) % 6 for step in range(3)) for first in range(6))
FOUR_ADJACENT = tuple(tuple((first + step) % 6 for step in range(4)) for first in range(6))
FOUR_APART = ((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5))
CONNECTIONS = (*THREE_ADJACENT, *FOUR_ADJACENT, *FOUR_APART, tuple(range(6)))
"""Which of the first six maps each of the sixteen maps of the second convolution reads (1998, table I)."""

BITMAPS = """
.#####.  ...#...  .#####.  .#####.  ....##.  #######  ..####.  #######  .#####.  .#####.
##...##  ..##...  ##...##  ##...##  ...###.  ##.....  .##....  ##...##  ##...##  ##...##
#.....#  .###...  #.....#  #.....#  ..#.##.  ##.....  ##.....  .....##  #.....#  #.....#
#.....#  ...#...  ......#  ......#  .##.##.  ##.....  #......  .....#.  #.....#  #.....#
#.....#  ...#...  .....##  .....##  .#..##.  ##.....  #......  ....##.  ##...##  #.....#
#.....#  ...#...  ....##.  ..####.  ##..##.  ######.  #.####.  ....#..  .#####.  ##...##
#.....#  ...#...  ...##..  .....##  #######  .....##  ###..##  ...##..  ##...##  .####.#
#.....#  ...#...  ..##...  ......#  ....##.  ......#  ##....#  ...#...  #.....#  ......#
#.....#  ...#...  .##....  ......#  ....##.  ......#  #.....#  ..##...  #.....#  ......#
#.....#  ...#...  ##.....  #.....#  ....##.  #.....#  #.....#  ..#....  #.....#  .....##
##...##  ...#...  #......  ##...##  ....##.  ##...##  ##...##  .##....  ##...##  ....##.
.#####.  .#####.  #######  .#####.  ....##.  .#####.  .#####.  .#.....  .#####.  .####..
"""
"""The ten digits, seven by twelve pixels each, drawn after the paper's figure 3."""


def lenet5(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    pooling: Pooling = "average",
    dropout: float = 0.0,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "tanh",
) -> keras.Model:
    """LeNet-5 as it is built today: every map connected, plain pooling, a softmax.

    Unpadded 5x5 convolutions of 6, 16 and 120 channels, the first two pooled 2x2, and a dense layer of 84. Smaller
    images are padded to 32x32. 61,706 parameters at one channel and ten classes, for images up to 32x32.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        pooling: kind of the two poolings.
        dropout: share of the dense layer's outputs that is dropped while training.
        batch_norm, l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    blocks = Blocks(activation, batch_norm, l2)
    pool = POOLS[pooling]
    images = keras.Input(input_shape, name="images")
    x = _padded(images)
    x = blocks.conv(x, "conv1", 6, 5, padding="valid")
    x = pool(x, "pool1", 2, strides=2)
    x = blocks.conv(x, "conv2", 16, 5, padding="valid")
    x = pool(x, "pool2", 2, strides=2)
    x = blocks.conv(x, "conv3", 120, 5, padding="valid")
    x = keras.layers.Flatten(name="flatten")(x)
    x = blocks.dense(x, "dense1", 84, dropout=dropout)
    return keras.Model(images, blocks.logits(x, num_classes), name="lenet5")


def lenet5_1998(input_shape: tuple[int, int, int], num_classes: int, *, l2: float = 0.0) -> keras.Model:
    """LeNet-5 of LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition" (1998).

    Section II.B, with the paper's names of the layers in brackets. Images are padded to 32x32 and their values,
    expected between 0 and 1, brought to -0.1 and 1.175. Convolutions are 5x5: conv1 (C1) makes 6 channels; conv2
    (C3) 16, each of some of these by table I; conv3 (C5) 120. pool1 and pool2 (S2, S4) are average poolings of
    2x2, pool1_trained and pool2_trained their coefficients and biases. dense1 (F6) has 84 units, and the logits
    are minus the squared distances of these to the classes' codes, bitmaps of 7x12 values of +1 and -1. The
    squashing function after each layer is 1.7159 tanh(2x/3).

    60,000 parameters at one channel, as the paper counts: the codes, fixed, are none. The poolings start as plain
    averages; the kernels from a uniform distribution of variance 1 over a unit's inputs, where the paper has the limits
    ±2.4 over these. The paper's loss has a constant for rubbish beside the classes' distances, the cross-entropy not.

    Args:
        input_shape: (height, width, channels) of the images.
        num_classes: number of logits, from 2 to 10: the first so many digits lend their bitmaps.
        l2: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).

    Raises:
        UserError: there are fewer than two or more than ten classes.
    """
    if not 2 <= num_classes <= 10:
        raise UserError(
            f"num_classes={num_classes}: model=lenet5_1998 has a bitmap for each of two to ten outputs; "
            "use model=lenet5, or for two classes model.head=softmax"
        )
    blocks = Blocks(scaled_tanh, l2=l2, kernel_initializer="lecun_uniform")
    images = keras.Input(input_shape, name="images")
    x = _padded(images)
    x = keras.layers.Rescaling(1.275, offset=-0.1, name="contrast")(x)
    x = blocks.conv(x, "conv1", 6, 5, padding="valid")
    x = _trainable_pool(x, "pool1")
    x = _connected_by_table(x, blocks)
    x = _trainable_pool(x, "pool2")
    x = blocks.conv(x, "conv3", 120, 5, padding="valid")
    x = keras.layers.Flatten(name="flatten")(x)
    x = blocks.dense(x, "dense1", 84)
    logits = NegativeSquaredDistance(digit_codes()[:num_classes], name="logits", dtype="float32")(x)
    return keras.Model(images, logits, name="lenet5_1998")


def digit_codes() -> list[list[int]]:
    """The codes of the digits 0 to 9: 84 values each, row by row of their bitmaps, +1 where drawn and -1 elsewhere."""
    rows = [line.split() for line in BITMAPS.split("\n") if line]
    return [[1 if pixel == "#" else -1 for row in rows for pixel in row[digit]] for digit in range(10)]


def _padded(images: KerasTensor) -> KerasTensor:
    """Images in the middle of SIDE x SIDE pixels, where they are smaller."""
    missing = [max(0, SIDE - side) for side in images.shape[1:3]]
    if not any(missing):
        return images
    margins = tuple((pixels // 2, pixels - pixels // 2) for pixels in missing)
    return keras.layers.ZeroPadding2D(margins, name="margin")(images)


def _trainable_pool(x: KerasTensor, name: str) -> KerasTensor:
    """Average pooling, one coefficient and one bias per map, which start at 1 and 0, and the squashing function."""
    x = average_pool(x, name, 2, strides=2)
    trained = keras.layers.EinsumDense(
        "nhwc,c->nhwc", x.shape[1:], bias_axes="c", kernel_initializer="ones", name=f"{name}_trained"
    )
    return keras.layers.Activation(scaled_tanh, name=f"{name}_act")(trained(x))


def _connected_by_table(x: KerasTensor, blocks: Blocks) -> KerasTensor:
    """conv2: one grouped convolution for all the channels that read equally many, one group per channel."""
    parts = []
    for count in sorted({len(read) for read in CONNECTIONS}):
        table = [read for read in CONNECTIONS if len(read) == count]
        selected = ChannelSelection([channel for read in table for channel in read], name=f"conv2_read{count}")(x)
        part = blocks.conv(selected, f"conv2_of{count}", len(table), 5, padding="valid", groups=len(table), linear=True)
        parts.append(part)
    x = keras.layers.Concatenate(name="conv2")(parts)
    return keras.layers.Activation(scaled_tanh, name="conv2_act")(x)
