"""Recipes and options in files of one's own: what they may leave out, and how a slip in them is answered."""

from pathlib import Path

import pytest

from cnnlab.errors import UserError


def save(folder: Path, name: str, text: str) -> str:
    """Write a file of a configuration of one's own, such as model/mine.yaml, and return its --config-dir."""
    path = folder / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return str(folder / "mine")


def test_foreign_packages_need_the_users_word_on_the_command_line(compose, tmp_path):
    folder = save(
        tmp_path,
        "experiment/theirs.yaml",
        "# @package _global_\ntargets: [cnnlab, keras, os]\nmodel: {_target_: os.system}\n",
    )
    arguments = ["--config-dir", folder, "experiment=theirs"]
    with pytest.raises(UserError, match=r"^targets=\[cnnlab,keras,os\]: .* decided on the command line"):
        compose("train", *arguments)


def test_a_value_that_must_be_given_is_asked_for(compose, tmp_path):
    folder = save(
        tmp_path,
        "dataset/needy.yaml",
        "_target_: cnnlab.data.mnist.mnist\nname: needy\nroot: ???\nimage_shape: [28, 28, 1]\nnum_classes: 10\n"
        "validation: none\n",
    )
    arguments = ["--config-dir", folder, "dataset=needy"]
    with pytest.raises(UserError, match=r"^dataset\.root: has no value; give dataset\.root=…"):
        compose("train", *arguments)
    compose("inspect", *arguments)
    compose("train", *arguments, "dataset.root=somewhere")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("optimizer: sgd", r"optimizer=sgd: is no mapping of keys; .*, as - override /optimizer: sgd$"),
        ("model: lenet5", r"model=lenet5: is no mapping of keys; .*, as - override /model: lenet5$"),
        ("dataset: mnist", r"dataset: is no mapping of keys; .*, as - override /dataset: NAME$"),
        ("logger: tensorboard", r"logger=tensorboard: is no mapping of keys; .*, as - override /logger: tensorboard$"),
        ("augmentation: [flip]", r"experiment/mine\.yaml: a list is no mapping of keys; .* /GROUP: \[NAME,NAME\]$"),
    ],
)
def test_a_recipe_that_names_an_option_as_a_value_is_told_how(compose, tmp_path, line, told):
    folder = save(tmp_path, "experiment/mine.yaml", f"# @package _global_\n{line}\n")
    with pytest.raises(UserError, match=f"^{told}"):
        compose("train", "--config-dir", folder, "experiment=mine")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"model\._target_: is missing; the file of an option names its function or class"),
        ("width: 3\n", r"model\._target_: is missing"),
        ("_target_: [lenet5]\n", r"model\._target_=\['lenet5'\]: must be text, package\.module\.name$"),
        ("- lenet5\n", r"model=\[lenet5\]: is no mapping of keys"),
    ],
)
def test_a_file_that_makes_no_model_is_refused(compose, tmp_path, text, told):
    folder = save(tmp_path, "model/mine.yaml", text)
    with pytest.raises(UserError, match=f"^{told}"):
        compose("train", "--config-dir", folder, "model=mine")


def test_a_key_of_ours_that_a_file_lacks_is_asked_for(compose, tmp_path):
    folder = save(tmp_path, "optimizer/nameless.yaml", "_target_: keras.optimizers.SGD\n")
    arguments = ["--config-dir", folder, "optimizer=nameless"]
    with pytest.raises(UserError, match=r"^optimizer\.name: is missing; give it, as \+optimizer\.name=… or"):
        compose("train", *arguments)
    compose("train", *arguments, "+optimizer.name=mine", "+optimizer.learning_rate=0.1")
    with pytest.raises(UserError, match=r"^trainer\.batch_size: is missing"):
        compose("train", "~trainer.batch_size")
