"""What is told before a training begins."""

from importlib.resources import files

import pytest
from omegaconf import OmegaConf

from cnnlab.training.header import length, unused_steps
from cnnlab.training.plan import build_plan


@pytest.mark.parametrize(
    ("steps", "images", "line"),
    [
        (None, 32, "2 epochs of 2 steps, 16 images each"),
        (None, 41, "2 epochs of 2 steps, 16 images each; 9 images, others each time, left over"),
        (3, 33, "3 steps, 16 images each, 2 to an epoch; 1 image, others each time, left over"),
    ],
)
def test_images_that_an_epoch_leaves_out_are_told(steps, images, line):
    trainer = OmegaConf.load(files("cnnlab.conf") / "trainer" / "default.yaml")
    trainer.epochs, trainer.steps, trainer.batch_size = 2, steps, 16
    assert length(build_plan(trainer, images), 16, images) == line


@pytest.mark.parametrize(
    ("steps", "accumulated", "told"),
    [
        (12, None, ""),
        (12, 4, ""),
        (13, 4, "; the last 1 step without an update, which takes 4"),
        (7, 8, "; the last 7 steps without an update, which takes 8"),
    ],
)
def test_steps_whose_gradients_come_too_late_for_an_update_are_told(steps, accumulated, told):
    assert unused_steps(steps, accumulated) == told
