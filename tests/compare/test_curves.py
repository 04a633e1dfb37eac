"""Curves over the runs of a configuration, of which one has a gap."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cnnlab.compare.curves import _draw_band


def test_a_mean_is_of_values_of_the_same_epoch_where_one_run_has_none_in_between():
    whole = pd.Series([1.0, 2.0, 3.0, 4.0], index=[1, 2, 3, 4])
    gap = pd.Series([1.0, 5.0, 6.0], index=[1, 3, 4])
    axes = Figure().subplots()
    _draw_band(axes, [whole, gap], "black", label=None)
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [(1, 1), (3, 4), (4, 5)])
