"""The keys of overrides, and which overrides do not count."""

import pytest

from cnnlab.config.overrides import named_twice, overridden, override_key


def test_the_key_of_an_override_has_no_marks_of_hydra():
    given = ("model=lenet5", "+optimizer.nesterov=true", "++name=a=b", "~logger")
    assert [override_key(override) for override in given] == ["model", "optimizer.nesterov", "name", "logger"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["seed=1", "trainer.epochs=2", "seed=2"], [("seed=1", "seed=2")]),
        (["+trainer.callbacks.a=1", "trainer.callbacks.a=2"], [("+trainer.callbacks.a=1", "trainer.callbacks.a=2")]),
        (["seed=1", "seed=1", "seeds.shuffle=3", "-m", "-m"], []),
    ],
)
def test_of_a_key_given_twice_the_value_that_does_not_count_is_known(arguments, told):
    assert list(overridden(arguments)) == told


def test_an_option_that_a_list_names_twice_is_known():
    arguments = ["augmentation=[flip,shift,flip]", "metric=[auc]", "input_shape=[28,28,1]", "logger=mlflow"]
    assert list(named_twice(arguments)) == [("augmentation=[flip,shift,flip]", "flip")]
