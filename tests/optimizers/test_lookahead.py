"""Lookahead, against the paper's update written out in NumPy."""

import keras
import numpy as np
import tensorflow as tf

from cnnlab.optimizers.lookahead import Lookahead


def trained(every: int, decay: float, power: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The fast and slow weights after steps that each add 1 to a weight that starts at 0."""
    weight = keras.Variable(np.zeros(3, "float32"))
    lookahead = Lookahead([weight], steps, every, decay, power)
    for step in range(1, steps + 1):
        weight.assign_add(np.ones(3))
        lookahead.after(tf.constant(step, tf.int64))
    return weight.numpy(), lookahead.slow[0].numpy()


def expected(every: int, decay: float, power: float, steps: int) -> tuple[float, float]:
    fast = slow = 0.0
    for step in range(1, steps + 1):
        fast += 1
        if step % every == 0:
            share = decay * (step / steps) ** power
            fast = slow = share * slow + (1 - share) * fast
    return fast, slow


def test_every_few_steps_the_weights_meet_and_go_on_from_there():
    for case in [(5, 0.5, 0.0, 20), (3, 0.8, 0.0, 20), (5, 0.774, 3.0, 23)]:
        fast, slow = trained(*case)
        np.testing.assert_allclose(fast, expected(*case)[0], rtol=1e-5)
        np.testing.assert_allclose(slow, expected(*case)[1], rtol=1e-5)


def test_it_leaves_what_is_no_float_alone():
    seed = keras.Variable(np.zeros(2, "uint32"), dtype="uint32", trainable=False)
    assert Lookahead([seed], total_steps=10, every=5).slow == []
