"""One cycle, against the numbers that the definition of PyTorch's OneCycleLR gives."""

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.schedules.one_cycle import OneCycle


def curve(schedule: OneCycle, steps: int) -> np.ndarray:
    return np.array([float(schedule(tf.constant(step, tf.int64))) for step in range(steps)])


def test_it_rises_falls_and_stays():
    # torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10, pct_start=0.3): two steps up, seven down
    fall = [0.9504846, 0.8117456, 0.6112616, 0.3887424, 0.1882583, 0.0495194, 4e-6]
    expected = [0.04, 0.52, 1.0, *fall, 4e-6, 4e-6]
    values = curve(OneCycle(1.0, total_steps=10, peak_steps=3), 12)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-7)


def test_the_factors_set_both_ends():
    values = curve(OneCycle(0.5, total_steps=100, peak_steps=50, div_factor=10, final_div_factor=100), 100)
    assert values[0] == pytest.approx(0.05)
    assert values.argmax() == 49
    assert values[49] == pytest.approx(0.5)
    assert values[99] == pytest.approx(0.0005)


@pytest.mark.parametrize(("total_steps", "peak_steps"), [(1, 0), (1, 1), (5, 0), (5, 1), (5, 5)])
def test_short_cycles_start_or_end_at_the_peak(total_steps, peak_steps):
    values = curve(OneCycle(1.0, total_steps, peak_steps), total_steps)
    assert np.isfinite(values).all()
    assert values.max() == 1
    assert values.argmax() == max(peak_steps - 1, 0)


@pytest.mark.parametrize(("total_steps", "peak_steps"), [(10, 11), (0, 0)])
def test_a_rise_longer_than_the_cycle_is_refused(total_steps, peak_steps):
    with pytest.raises(ValueError, match=f"received {peak_steps} of {total_steps} steps"):
        OneCycle(1.0, total_steps, peak_steps)
