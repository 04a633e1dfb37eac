"""metrics.csv and steps.csv."""

import numpy as np
import pandas as pd

from cnnlab.runs.files import write_atomically
from cnnlab.training.tables import StepTable

RESULTS = np.array([[2.3025851, 0.125, 0.1], [1.1, 0.5, 0.1], [0.3, 0.75, 0.01]], np.float32)


def test_a_step_row_reads_back_as_the_same_float32(tmp_path):
    table = StepTable(tmp_path / "steps.csv", last_step=0)
    table.append(1, 2, RESULTS)
    table.close()
    frame = pd.read_csv(tmp_path / "steps.csv")
    assert list(frame.columns) == ["step", "epoch", "loss", "accuracy", "learning_rate"]
    assert frame.step.tolist() == [1, 2, 3]
    assert frame.epoch.tolist() == [1, 1, 2]
    np.testing.assert_array_equal(frame[["loss", "accuracy", "learning_rate"]].to_numpy(np.float32), RESULTS)


def test_a_resumed_table_drops_later_rows_and_a_half_written_one(tmp_path):
    path = tmp_path / "steps.csv"
    table = StepTable(path, last_step=0)
    table.append(1, 2, RESULTS)
    table.close()
    with path.open("a") as file:
        file.write("4,2,0.1")
    resumed = StepTable(path, last_step=2)
    resumed.append(3, 2, RESULTS[2:])
    resumed.close()
    assert pd.read_csv(path).step.tolist() == [1, 2, 3]


def test_a_replaced_file_is_never_half_written(tmp_path):
    path = tmp_path / "value.txt"
    path.write_text("old")
    try:
        with write_atomically(path) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["value.txt"]
