"""What `cnnlab COMMAND --help` shows: the comments of the YAML files."""

import subprocess
import sys

import pytest

from cnnlab import cli
from cnnlab.config.options import option_names, read_groups, read_option


def shown(capsys, *arguments: str) -> str:
    assert cli.main([*arguments, "--help"]) == 0
    return capsys.readouterr().out


def test_a_key_has_its_default_and_its_comment(capsys):
    assert "trainer.epochs=40                     passes over the training split\n" in shown(capsys, "train")


def test_every_group_of_train_is_listed_with_all_its_options(capsys):
    text = " ".join(shown(capsys, "train").split())
    for group in read_groups("train"):
        assert f"{group.name}=" in text
        assert f": {group.comment}" in text
        assert ", ".join(option_names(group.name)) in text


def test_the_keys_of_the_option_that_is_named_are_shown_in_place_of_the_defaults(capsys):
    text = shown(capsys, "train", "model=resnet", "optimizer=sgd")
    assert "  model.depth=50  " in text
    assert "  optimizer.nesterov=" in text
    assert "optimizer.beta_1" not in text


def test_the_model_that_suits_the_dataset_is_shown(capsys):
    assert "model=photo_cnn: " in shown(capsys, "train", "dataset=image_folder")
    assert "model=mnist_cnn: " in shown(capsys, "train")


def test_several_options_of_a_group_are_all_shown(capsys):
    text = shown(capsys, "train", "augmentation=[flip,cutmix]")
    assert "augmentation.flip." in text
    assert "augmentation.cutmix." in text


def test_keys_that_a_group_shares_are_shown_with_each_option(capsys):
    assert "optimizer.clipnorm=null" in shown(capsys, "train", "optimizer=lion")


def test_words_that_a_comment_leaves_out_are_listed(capsys):
    assert "one of auto, none, published" in " ".join(shown(capsys, "train", "dataset=digits").split())


@pytest.mark.parametrize(
    ("command", "there", "not_there"),
    [
        ("eval", ["  split=", "  tta=", "dataset=digits"], ["schedule=", "logger=", "sweep."]),
        ("inspect", ["  format=table", "initializer=default"], ["schedule=", "trainer.", "method="]),
        ("visualize", ["method=", "  run=null"], ["optimizer=", "logger="]),
        ("predict", ["  images=", "  top=3"], ["Groups", "model="]),
        ("export", ["  run=null", "  format=saved_model", "  precision=float32"], ["Groups", "model="]),
        ("doctor", ["  format=table"], ["Groups"]),
        ("compare", ["  runs=", "  baseline="], ["Groups"]),
    ],
)
def test_a_command_shows_only_what_it_uses(capsys, command, there, not_there):
    text = shown(capsys, command)
    for part in there:
        assert part in text
    for part in not_there:
        assert part not in text


def test_options_of_a_folder_of_ones_own_are_listed_and_shown(capsys, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# A net of mine.\n_target_: cnnlab.x\nname: mine\nwidth: 7 # wide\n")
    text = shown(capsys, "train", "--config-dir", str(tmp_path), "model=mine")
    assert "mine, mnist_cnn" in text
    assert "model=mine: A net of mine." in text
    assert "  model.width=7                         wide\n" in text


def test_an_option_that_is_not_there_is_met_with_the_nearest(capsys):
    assert cli.main(["train", "--help", "model=resnt"]) == 2
    assert capsys.readouterr().err == "error: model=resnt: no such option; did you mean resnet?\n"


@pytest.mark.parametrize("group", [group.name for group in read_groups("visualize")])
def test_every_key_of_every_shipped_option_has_a_comment(group):
    for name in option_names(group):
        option = read_option(name, group)
        assert option.description, f"{group}/{name}.yaml opens without a comment"
        if group != "experiment":
            plain = [key.name for key in option.keys if not key.comment and key.default and key.name != "name"]
            assert not plain, f"{group}/{name}.yaml"


def test_help_imports_neither_hydra_nor_anything_heavier():
    program = (
        "import sys; from cnnlab.cli import main; main(['train', '--help']);"
        "sys.exit(any(name in sys.modules for name in ('hydra', 'numpy', 'rich', 'keras', 'tensorflow')))"
    )
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0
