"""The triangle, against NumPy's piecewise linear interpolation."""

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.schedules.triangle import Triangle


@pytest.mark.parametrize("peak_steps", [1, 7, 19])
def test_it_is_straight_between_its_corners_and_stays_at_its_end(peak_steps):
    schedule = Triangle(0.5, 20, peak_steps, start_factor=0.2, end_factor=0.07)
    expected = 0.5 * np.interp(np.arange(25), [0, peak_steps, 20], [0.2, 1.0, 0.07])
    values = [float(schedule(tf.constant(step, tf.int64))) for step in range(25)]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_without_a_rise_it_starts_at_the_peak():
    assert float(Triangle(0.5, 20, 0)(0)) == 0.5


def test_a_rise_longer_than_the_whole_is_refused():
    with pytest.raises(ValueError, match="received 11 of 10 steps"):
        Triangle(1.0, 10, 11)


def test_its_configuration_makes_it_again():
    first = Triangle(0.3, 12, 4, 0.1, 0.05)
    again = Triangle.from_config(first.get_config())
    assert [float(again(step)) for step in range(15)] == [float(first(step)) for step in range(15)]
