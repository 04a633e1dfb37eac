"""From a command line to what a command is called with, and what is left behind when it is not."""

import logging
import sys
from contextlib import suppress

import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_repository import CachingConfigRepository

from cnnlab.config.compose import launch
from cnnlab.errors import Interrupted, UserError


def test_a_training_gets_a_dated_directory_of_its_own(compose, tmp_path):
    config, directory = compose("train", "name=mine")
    assert directory.parent == tmp_path / "outputs" / "mine"
    assert config.name == "mine"
    assert not list(tmp_path.iterdir())  # nothing was written into it, so it is gone again


def test_the_directory_may_be_anywhere_and_be_called_anything(compose, tmp_path):
    _, directory = compose("train", "hydra.run.dir=mine/lr=0.1, first")
    assert directory == tmp_path / "mine" / "lr=0.1, first"


def test_trainings_that_begin_at_the_same_time_get_a_directory_each_unless_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directories = []

    def work(config, directory):
        directories.append(str(directory.relative_to(tmp_path)))
        (directory / f"of seed {config.seed}").touch()

    for seed in (0, 1, 2):
        launch("train", [f"seed={seed}", "hydra.run.dir=${now:one second}"], work)
    launch("train", ["seed=3", "hydra.run.dir=mine"], work)
    launch("train", ["seed=4", "hydra.run.dir=mine"], work)  # which the training then refuses
    assert directories == ["one second", "one second-2", "one second-3", "mine", "mine"]
    assert [file.name for file in (tmp_path / "one second-2").iterdir()] == ["of seed 1"]


PHOTOS = ("dataset=image_folder", "dataset.root=photos/")


def test_photographs_get_a_network_that_suits_them_unless_one_is_named(compose):
    for command in ("train", "eval", "inspect", "visualize"):
        given = {"eval": ["weights=w.keras"], "visualize": ["method=architecture"]}.get(command, [])
        assert compose(command, *PHOTOS, *given)[0].model.name == "photo_cnn"
    assert compose("train")[0].model.name == "mnist_cnn"
    assert compose("train", *PHOTOS, "model=resnet")[0].model.name == "resnet"


def test_a_recipe_names_its_own_network_or_leaves_it_to_its_dataset(compose, tmp_path):
    recipes = tmp_path / "conf" / "experiment"
    recipes.mkdir(parents=True)
    header = "# @package _global_\ndefaults:\n  - override /dataset: image_folder\n"
    (recipes / "mine.yaml").write_text(f"{header}dataset: {{root: photos}}\n")
    (recipes / "deep.yaml").write_text(f"{header}  - override /model: resnet\ndataset: {{root: photos}}\n")
    folder = f"--config-dir={tmp_path / 'conf'}"
    assert compose("train", folder, "experiment=mine")[0].model.name == "photo_cnn"
    assert compose("train", folder, "experiment=deep")[0].model.name == "resnet"


def test_a_run_is_named_after_its_folder_or_file(compose, tmp_path):
    (tmp_path / "my photos.2024").mkdir()
    config, directory = compose("train", "dataset=image_folder", "dataset.root=./my photos.2024/")
    assert config.dataset.name == "my photos.2024"
    assert directory.parent == tmp_path / "outputs" / "photo_cnn-my photos.2024"
    config, _ = compose("train", "dataset=arrays", "dataset.root=sets/letters.npz")
    assert config.name == "mnist_cnn-letters"


def test_ctrl_c_leaves_no_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def interrupt(config, directory):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch("train", [], interrupt)
    assert list(tmp_path.iterdir()) == []


def test_commands_that_print_create_nothing(compose, tmp_path):
    for command in ("inspect", "doctor"):
        compose(command)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["--cfg", "hydra"]])
def test_flags_that_print_create_nothing_and_start_nothing(tmp_path, monkeypatch, flags, capsys):
    monkeypatch.chdir(tmp_path)
    with suppress(SystemExit):
        launch("train", flags, lambda config, directory: pytest.fail("the command was started"))
    assert capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_leaves_no_directory_behind(compose, tmp_path):
    for command in ("train", "eval"):
        with pytest.raises(UserError):
            compose(command, "trainer.epochs=-1")
    with pytest.raises(UserError):
        compose("train", "trainer.epochs=-1", f"hydra.run.dir={tmp_path}/somewhere")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_was_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_and_fail(config, directory):
        (directory / "log.txt").write_text("so far")
        raise UserError("no further")

    with pytest.raises(UserError, match="no further"):
        launch("train", [], write_and_fail)
    assert len(list(tmp_path.rglob("log.txt"))) == 1


def test_the_command_sees_its_arguments_as_they_were_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cnnlab", "train", "seed=1", "weights=a=b"])
    seen = []
    launch("train", sys.argv[2:], lambda config, directory: seen.append((list(sys.argv), config.weights)))
    assert seen == [(["cnnlab", "train", "seed=1", "weights=a=b"], str(tmp_path / "a=b"))]


def test_with_m_every_combination_runs_even_after_a_failure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seeds = []

    def fail_on_zero(config, directory):
        seeds.append((config.seed, directory))
        if config.seed == 0:
            raise UserError("zero")

    with pytest.raises(UserError, match="zero"):
        launch("inspect", ["-m", "seed=0,1,2"], fail_on_zero)
    assert [seed for seed, _ in seeds] == [0, 1, 2]
    assert len({directory for _, directory in seeds}) == 3


def test_an_interrupt_ends_all_of_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seeds = []

    def interrupt(config, directory):
        seeds.append(config.seed)
        raise Interrupted(15, "terminated")

    with pytest.raises(Interrupted):
        launch("inspect", ["-m", "seed=0,1,2"], interrupt)
    assert seeds == [0]


def test_a_users_own_yaml_joins_the_shipped_ones(compose, tmp_path):
    (tmp_path / "mine" / "optimizer").mkdir(parents=True)
    (tmp_path / "mine" / "optimizer" / "slow.yaml").write_text(
        "_target_: keras.optimizers.SGD\nname: slow\nlearning_rate: 1e-5\n"
    )
    config, _ = compose("train", "--config-dir", str(tmp_path / "mine"), "optimizer=slow")
    assert config.optimizer.learning_rate == 1e-5


def test_a_users_yaml_in_another_encoding_is_told_by_its_line(compose, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_bytes("# @package _global_\nname: café\nseed: 1\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"^a YAML file is not in UTF-8, where it says name: café; save it as UTF-8$"):
        compose("train", f"--config-dir={tmp_path}", "experiment=mine")


def test_a_users_broken_yaml_is_named_with_its_line(compose, tmp_path):
    (tmp_path / "mine" / "optimizer").mkdir(parents=True)
    (tmp_path / "mine" / "optimizer" / "bad.yaml").write_text("a: 1\nb: [\n")
    with pytest.raises(UserError, match=r"bad\.yaml:\d+: "):
        compose("train", "--config-dir", str(tmp_path / "mine"), "optimizer=bad")


def test_log_lines_go_to_stderr(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    launch("doctor", [], lambda config, directory: logging.getLogger("cnnlab.somewhere").info("hello"))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(" hello\n")


@pytest.mark.parametrize("arguments", [["trainer.epochs=-1"], ["modle=x"]])
def test_a_mistake_takes_one_composition(arguments, tmp_path, monkeypatch, capsys):
    """Each copies Hydra's whole search path, and a person waits."""
    monkeypatch.chdir(tmp_path)
    made = []

    class Counted(CachingConfigRepository):
        def __init__(self, delegate):
            made.append(self)
            super().__init__(delegate)

    monkeypatch.setattr(config_loader_impl, "CachingConfigRepository", Counted)
    with suppress(SystemExit, UserError):
        launch("train", arguments, lambda config, directory: None)
    assert len(made) == 1


def test_an_experiment_that_is_a_sweep_needs_no_flag(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    launch("train", ["experiment=sweep_optimizers", "seed=0,1", "sweep.dry_run=true"], lambda config, directory: None)
    assert list(tmp_path.iterdir()) == []


def test_text_from_the_environment_where_a_number_belongs_is_told_with_what_makes_one_of_it(compose, monkeypatch):
    monkeypatch.setenv("LR", "0.25")
    mended = 'optimizer.learning_rate="${oc.decode:${oc.env:LR}}"'
    with pytest.raises(UserError) as error:
        compose("train", "optimizer.learning_rate=${oc.env:LR}")
    assert str(error.value) == (
        f"optimizer.learning_rate=0.25: must be a number; ${{oc.env:LR}} is text; decode it: '{mended}'"
    )
    config, _ = compose("train", mended)
    assert config.optimizer.learning_rate == 0.25
    with pytest.raises(UserError, match=r"quote the value: 'optimizer\.learning_rate=\"\$\{oc\.decode"):
        compose("train", mended.replace('"', ""))
    with pytest.raises(UserError, match=r"^seed=0\.25: must be an integer; \$\{oc\.env:LR\} is text"):
        compose("train", "seed=${oc.env:LR}")
