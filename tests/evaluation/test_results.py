"""What an evaluation leaves on disk, and what one leaves that fails."""

from pathlib import Path

import numpy as np
import pytest

from cnnlab.data.dataset import Split
from cnnlab.errors import UserError
from cnnlab.evaluation.results import write_results


def test_an_evaluation_that_fails_half_way_leaves_the_earlier_one_whole(files_of, save_image, tmp_path):
    paths = [save_image(f"photos/{level}.png", np.full((8, 8, 1), level, np.uint8)) for level in range(4)]
    split, right = Split(files_of(paths, (8, 8, 1)), np.array([0, 1, 0, 1], np.int32)), np.eye(2)[[0, 1, 0, 1]]
    folder = tmp_path / "eval" / "test"

    def evaluate(probabilities: np.ndarray) -> None:
        write_results(folder, split, probabilities, ("cat", "dog"), "title", {}, np.arange(4), {})

    def content() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}

    evaluate(0.8 * right + 0.1)
    before = content()
    paths[0].unlink()  # by the time its mistakes are drawn, of which an earlier model made none
    with pytest.raises(UserError, match=r"0\.png"):
        evaluate(0.9 - 0.8 * right)
    assert content() == before
