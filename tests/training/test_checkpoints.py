"""Full states on disk: whole, the last few and the best, and what happens to damaged ones."""

import logging

import keras
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.training.checkpoints import Checkpoints


def make_variables(value: float) -> list[keras.Variable]:
    return [keras.Variable(np.full((3, 2), value, "float32")), keras.Variable(np.int64(7), dtype="int64")]


def save(checkpoints: Checkpoints, step: int, best: bool = False) -> None:
    checkpoints.save(make_variables(float(step)), {"step": step, "note": f"after {step}"}, best=best)


def names(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name for path in checkpoints.directory.iterdir())


def test_what_was_saved_comes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 5)
    variables = make_variables(0.0)
    assert checkpoints.restore_latest(variables) == {"step": 5, "note": "after 5"}
    np.testing.assert_array_equal(variables[0].numpy(), np.full((3, 2), 5.0))
    assert int(variables[1].numpy()) == 7


def test_an_empty_folder_gives_nothing(tmp_path):
    assert Checkpoints(tmp_path / "absent", keep=1).restore_latest(make_variables(0.0)) is None


def test_the_last_two_and_the_best_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3, 4):
        save(checkpoints, step, best=step == 2)
    assert names(checkpoints) == ["best.npz", "step-00000003.npz", "step-00000004.npz"]
    best = np.load(tmp_path / "best.npz")
    np.testing.assert_array_equal(best["v00000"], np.full((3, 2), 2.0))


@pytest.mark.parametrize("damage", ["truncated", "emptied", "a flipped bit"])
def test_a_damaged_last_state_falls_back_to_the_one_before_and_says_so(tmp_path, caplog, damage):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 1)
    save(checkpoints, 2)
    last = tmp_path / "step-00000002.npz"
    content = bytearray(last.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "emptied":
        content = b""
    else:
        content[content.index(np.full(6, 2.0, "float32").tobytes())] ^= 1
    last.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.restore_latest(make_variables(0.0))["step"] == 1
    assert "step-00000002.npz" in caplog.text
    assert "falling back" in caplog.text


def test_a_state_written_after_a_fallback_outlives_the_damaged_later_ones(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 9)
    (tmp_path / "step-00000009.npz").write_bytes(b"damaged")
    save(checkpoints, 7)
    assert checkpoints.restore_latest(make_variables(0.0))["step"] == 7
    assert names(checkpoints) == ["step-00000007.npz"]


def test_when_all_are_damaged_training_does_not_start_anew_silently(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 1)
    (tmp_path / "step-00000001.npz").write_bytes(b"no zip file")
    with pytest.raises(UserError, match="every checkpoint is damaged"):
        checkpoints.restore_latest(make_variables(0.0))


def test_the_state_of_another_model_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 1)
    with pytest.raises(UserError, match="another model"):
        checkpoints.restore_latest([keras.Variable(np.zeros((4, 4), "float32"))])


def test_a_failed_write_leaves_the_last_good_state_and_no_litter(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 1)
    with pytest.raises(TypeError):
        checkpoints.save(make_variables(2.0), {"step": 2, "unserialisable": object()}, best=False)
    assert names(checkpoints) == ["step-00000001.npz"]
