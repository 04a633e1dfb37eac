"""What the parts of a training make of each other is told where it would surprise."""

import pytest

ONE_STEP = ("trainer.steps=1", "input_shape=[8,8,1]", "model.padding=same")
STATISTICS = "batch normalisation keeps the statistics of the trained weights"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "initializer=lsuv: has no effect, since weights="),
        (["weights_head=drop"], "initializer=lsuv: reaches the head"),
    ],
)
def test_an_initializer_beside_given_weights_is_told(train, small_run, capsys, given, told):
    train("trainer.steps=1", f"weights={small_run / 'last.keras'}", "initializer=lsuv", *given)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("batch_norm", [True, False])
def test_averaged_weights_with_the_statistics_of_others_are_told(train, capsys, batch_norm):
    train(*ONE_STEP, "optimizer.use_ema=true", f"model.batch_norm={batch_norm}")
    assert (STATISTICS in capsys.readouterr().err) == batch_norm
