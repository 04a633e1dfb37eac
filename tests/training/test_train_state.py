"""What the parts of a training make of each other is told where it would surprise."""

import pytest


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
