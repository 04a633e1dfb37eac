"""A recipe's keys when the command line chooses another option than the recipe is made for."""

import logging

import pytest
from omegaconf import OmegaConf

from cnnlab.errors import UserError

SGD = "# @package _global_\ndefaults:\n  - override /optimizer: sgd\noptimizer: {learning_rate: 0.1, momentum: 0.9}\n"
LENET = "# @package _global_\ndefaults:\n  - override /model: lenet5\n"
EXTENDED = "# @package _global_\ndefaults:\n  - mine\n  - _self_\noptimizer: {weight_decay: 0.01}\n"


@pytest.fixture
def recipes(tmp_path) -> str:
    folder = tmp_path / "recipes" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(SGD)
    (folder / "extended.yaml").write_text(EXTENDED)
    (folder / "nested.yaml").write_text(f"{LENET}model: {{trunk: {{filters: 3, size: 5}}}}\n")
    (folder / "typed.yaml").write_text(f"{LENET}model: {{stem: 3}}\n")
    (folder / "plain.yaml").write_text("# @package _global_\noptimizer: {learning_rate: 0.1}\n")
    return f"--config-dir={tmp_path / 'recipes'}"


def test_a_key_that_the_chosen_option_lacks_is_refused_by_the_recipes_name_with_all_that_must_go(compose):
    with pytest.raises(UserError) as refused:
        compose("train", "experiment=all_cnn_best", "optimizer=adam")
    assert str(refused.value) == (
        "optimizer.momentum=0.9: experiment=all_cnn_best sets it for sgd, and adam has no such key; "
        "take out what is not for adam: '~optimizer.momentum' '~optimizer.nesterov'"
    )


def test_a_nested_key_goes_with_the_key_that_the_chosen_option_lacks(compose, recipes):
    with pytest.raises(UserError, match=r"^model\.trunk\.filters=3: .* is not for resnet: '~model\.trunk'$"):
        compose("train", recipes, "experiment=nested", "model=resnet")


def test_a_value_that_the_chosen_option_cannot_take_is_told_with_where_it_comes_from(compose, recipes):
    with pytest.raises(UserError, match=r"^model\.stem=3: must be one of .*; experiment=typed sets it for lenet5$"):
        compose("train", recipes, "experiment=typed", "model=resnet")


def test_what_the_message_says_is_enough(compose, caplog):
    taken_out = ("~optimizer.momentum", "~optimizer.nesterov")
    config, _ = compose("train", "experiment=all_cnn_best", "optimizer=adam", *taken_out)
    assert (config.optimizer.learning_rate, "momentum" in config.optimizer) == (0.1, False)
    assert caplog.messages == [
        "optimizer=adam: experiment=all_cnn_best sets optimizer.learning_rate=0.1 for sgd, which counts here too; "
        "adam by itself: 0.001"
    ]


def test_keys_of_a_recipe_that_is_extended_count_as_its_own(compose, recipes, caplog):
    compose("train", recipes, "experiment=extended", "optimizer=adamw", "~optimizer.momentum")
    assert caplog.messages == [
        "optimizer=adamw: experiment=extended sets optimizer.learning_rate=0.1, optimizer.weight_decay=0.01 for sgd, "
        "which count here too; adamw by itself: 0.001, 0.004"
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("experiment=mine",),
        ("experiment=mine", "optimizer=sgd"),
        ("experiment=mine", "optimizer=rmsprop", "optimizer.learning_rate=0.01", "optimizer.momentum=0.0"),
        ("experiment=plain",),
        ("optimizer=sgd", "optimizer.learning_rate=0.1"),
    ],
    ids=["as it is", "its own option", "keys given", "the default option", "no recipe"],
)
def test_nothing_is_told_where_no_key_is_for_another_option(compose, recipes, caplog, arguments):
    compose("train", recipes, *arguments)
    assert caplog.messages == []


def test_a_recipe_that_chooses_no_option_is_made_for_the_default_one(compose, recipes, caplog):
    compose("train", recipes, "experiment=plain", "optimizer=sgd")
    (message,) = caplog.messages
    assert message.startswith("optimizer=sgd: experiment=plain sets optimizer.learning_rate=0.1 for adam, ")


def test_a_typing_error_is_not_blamed_on_the_recipe(compose):
    with pytest.raises(UserError, match=r"optimizer\.momentun=0\.5: no such key in optimizer; did you mean momentum"):
        compose("train", "experiment=all_cnn_best", "+optimizer.momentun=0.5")


def test_another_dataset_is_told_what_the_recipe_makes_of_it(compose, caplog):
    caplog.set_level(logging.WARNING, "cnnlab")
    config, _ = compose("inspect", "experiment=mnist_cnn_best", "dataset=digits")
    assert OmegaConf.select(config, "dataset.validation") == "none"
    assert "sets dataset.validation=none for mnist, which counts here too; digits by itself: 0.2" in caplog.text
