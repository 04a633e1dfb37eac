"""What the check of all jobs of a sweep, before the first begins, tells and lets pass."""

from pathlib import Path

from cnnlab import cli

MYNET = """
import keras

def build(input_shape, num_classes):
    images = keras.Input(input_shape)
    answers = keras.layers.Dense(num_classes, activation="softmax")(keras.layers.Flatten()(images))
    return keras.Model(images, answers)
"""


def test_what_a_recipe_sets_for_another_option_is_told_once_for_all_jobs(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    recipe = ("experiment=all_cnn_best", "~optimizer.momentum", "~optimizer.nesterov")
    assert cli.main(["train", "-m", *recipe, "optimizer=adam,nadam", "seed=0,1,2", "sweep.dry_run=true"]) == 0
    about = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert about == ["optimizer=adam", "optimizer=nadam"]


def test_a_network_of_ones_own_needs_no_more_than_its_target_in_a_sweep_either(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "mine.yaml").write_text("_target_: mynet.build\n")
    (tmp_path / "mynet.py").write_text(MYNET)
    own = ("--config-dir=own", "model=mine", "targets=[cnnlab,keras,mynet]", "seed=0,1", "sweep.dry_run=true")
    assert cli.main(["train", "-m", *own]) == 0
    assert "2 of 2 jobs would be trained" in capsys.readouterr().out
