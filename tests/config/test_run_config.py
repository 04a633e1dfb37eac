"""Commands that build upon a run: eval and predict with run=RUN, train with resume=RUN."""

import pytest
from omegaconf import OmegaConf

from cnnlab.config.run_config import SAME_RESULT, differences, left_to_data
from cnnlab.errors import UserError
from cnnlab.runs.run import Run


def test_a_runs_own_configuration_is_the_start(compose, stored_run):
    config, directory = compose("eval", f"run={stored_run}")
    assert config.trainer.batch_size == 32
    assert config.seed == 3
    assert config.run == str(stored_run)
    assert config.split == "test"
    assert directory == stored_run


def test_groups_and_keys_can_still_be_overridden(compose, stored_run):
    config, _ = compose("eval", f"run={stored_run}", "dataset=mnist", "dataset.root=/data/a=b", "split=validation")
    assert config.dataset.name == "mnist"
    assert config.dataset.root == "/data/a=b"
    assert config.split == "validation"
    assert config.trainer.batch_size == 32


def test_what_a_run_was_warm_started_from_is_not_what_eval_evaluates(compose, stored_run):
    stored = OmegaConf.load(stored_run / "config.yaml")
    stored.weights = "/some/weights.keras"
    OmegaConf.save(stored, stored_run / "config.yaml")
    config, _ = compose("eval", f"run={stored_run}")
    assert config.weights is None


def test_relative_runs_and_home_are_understood(compose, stored_run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(stored_run.parent))
    for path in (stored_run.relative_to(tmp_path), f"~/{stored_run.name}"):
        config, directory = compose("eval", f"run={path}")
        assert config.run == str(stored_run)
        assert directory == stored_run


def test_a_share_of_the_training_is_told_where_a_resumed_run_gets_another_length(compose, tmp_path, caplog):
    starts = "optimizer.layer_starts={conv1:50 %,conv2:3 steps}"
    config, path = compose("train", starts, "trainer.epochs=2", "hydra.run.dir=run")
    Run.create(path, config).begin()
    compose("train", "resume=run", "trainer.progress=none")
    assert not caplog.messages
    compose("train", "resume=run", "trainer.epochs=8")
    assert caplog.messages == [
        "optimizer.layer_starts.conv1=50 %: is of the new length of the training, whatever has begun before"
    ]


def test_predict_knows_the_run_and_its_own_keys(compose, stored_run):
    config, directory = compose("predict", f"run={stored_run}", "images=[a b.png,c.png]", "top=2")
    assert config.model.name == "mnist_cnn"
    assert list(config.images) == ["a b.png", "c.png"]
    assert directory == stored_run


def test_a_resumed_run_stays_in_its_directory_and_keeps_its_configuration(compose, stored_run):
    config, directory = compose("train", f"resume={stored_run}")
    stored = OmegaConf.load(stored_run / "config.yaml")
    assert directory == stored_run
    assert config.resume == str(stored_run)
    assert {**config, "resume": None} == dict(stored)


def test_length_hardware_and_display_may_change_on_the_way(compose, stored_run):
    changed = {"epochs": "9", "devices": "2", "progress": "none", "strategy": "mirrored"}
    config, _ = compose("train", f"resume={stored_run}", *(f"trainer.{key}={value}" for key, value in changed.items()))
    assert {key: str(config.trainer[key]) for key in changed} == changed


def test_data_may_have_moved(compose, tmp_path):
    config, _ = compose("train", "dataset=mnist", "dataset.root=old")
    Run.create(tmp_path, config).begin()
    resumed, _ = compose("train", f"resume={tmp_path}", "dataset.root=/new")
    assert resumed.dataset.root == "/new"


@pytest.mark.parametrize("key", ["model.dropout=0.9", "augmentation=none", "trainer.precision=bfloat16", "seed=7"])
def test_an_evaluation_of_a_run_takes_nothing_that_only_a_training_depends_on(compose, stored_run, key):
    with pytest.raises(UserError, match=rf"^{key.partition('=')[0]}: run=.* is taken as it was trained; leave .* out"):
        compose("eval", f"run={stored_run}", key)
    compose("eval", f"run={stored_run}", "trainer.batch_size=7", "seeds.split=1", "metric=f1")


@pytest.mark.parametrize("key", ["weights=w.keras", "weights_map=map.yaml", "model=lenet5", "model.dropout=0.9"])
def test_a_look_into_a_run_is_one_into_no_other_network(compose, stored_run, key):
    name = key.partition("=")[0]
    with pytest.raises(UserError, match=rf"^{name}: run=.* is taken as it was trained; leave {name} out"):
        compose("visualize", f"run={stored_run}", "method=saliency", key)
    config, _ = compose("visualize", f"run={stored_run}", "method=augmentation", "augmentation=flip")
    assert list(config.augmentation) == ["flip"]


@pytest.mark.parametrize("override", ["metric=f1", "dataset.validation=none"])
def test_an_evaluation_of_a_run_need_not_measure_what_its_training_watched(compose, tmp_path, override):
    watching = ["metric=auc", "trainer.monitor=val_auc", "trainer.early_stopping_patience=3", "schedule=plateau"]
    config, _ = compose("train", *watching)
    Run.create(tmp_path, config).begin()
    evaluation, _ = compose("eval", f"run={tmp_path}", override)
    key, _, value = override.partition("=")
    assert value in OmegaConf.select(evaluation, key)


def test_loggers_may_change_on_the_way(compose, stored_run):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install 'cnnlab[tensorboard]'")
    config, _ = compose("train", f"resume={stored_run}", "logger=tensorboard")
    assert list(config.logger) == ["tensorboard"]
    Run.open(stored_run).update(config=OmegaConf.to_container(config))
    config, _ = compose("train", f"resume={stored_run}", "logger=none")
    assert config.logger == {}


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("trainer.batch_size=64", "trainer.batch_size: 32 → 64"),
        ("seed=4", "seed: 3 → 4"),
        ("optimizer=sgd", r"optimizer\._target_: keras\.optimizers\.Adam → keras\.optimizers\.SGD.* and \d+ more"),
        ("model.dropout=0.1", r"model\.dropout: .* → 0\.1"),
    ],
)
def test_any_other_change_is_refused_and_shown(compose, stored_run, override, difference):
    with pytest.raises(UserError, match=rf"^resume=.*its configuration no longer matches \({difference}"):
        compose("train", f"resume={stored_run}", override)


def test_operations_of_a_run_can_be_chosen_anew(compose, stored_run):
    config, _ = compose("visualize", f"run={stored_run}", "method=augmentation", "augmentation=[shift_flip,shift]")
    assert list(config.augmentation) == ["shift_flip", "shift"]
    config, _ = compose("visualize", f"run={stored_run}", "method=augmentation", "augmentation.shift.shift=1")
    assert config.augmentation.shift.shift == 1


def test_a_run_without_augmentation_goes_on_without(compose, tmp_path):
    config, _ = compose("train", "augmentation=none")
    Run.create(tmp_path, config).begin()
    resumed, _ = compose("train", f"resume={tmp_path}")
    assert resumed.augmentation == {}


def test_the_one_operation_of_an_older_run_is_understood(compose, stored_run):
    stored = OmegaConf.load(stored_run / "config.yaml")
    stored.augmentation = {**stored.augmentation.shift, "name": "shift"}
    OmegaConf.save(stored, stored_run / "config.yaml")
    config, _ = compose("eval", f"run={stored_run}")
    assert config.augmentation.name == "shift"


def test_a_recipe_can_not_be_laid_over_a_run(compose, stored_run):
    with pytest.raises(UserError, match=r"^experiment=recipe: this command has no group experiment"):
        compose("eval", f"run={stored_run}", "experiment=recipe")


def test_a_resumed_run_can_not_be_sent_elsewhere(compose, stored_run, tmp_path):
    with pytest.raises(UserError, match=r"hydra\.run\.dir=.*elsewhere: a resumed run stays in"):
        compose("train", f"resume={stored_run}", "hydra.run.dir=elsewhere")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("command", "key"), [("eval", "run"), ("predict", "run"), ("train", "resume")])
def test_a_directory_that_is_no_run_is_refused(compose, tmp_path, command, key):
    with pytest.raises(UserError, match=rf"^{key}=.*nowhere: no such run"):
        compose(command, f"{key}=nowhere")
    with pytest.raises(UserError, match=rf"^{key}=.*is no run"):
        compose(command, f"{key}={tmp_path}")


def test_a_runs_folder_above_names_the_newest_run_inside(compose, stored_run):
    with pytest.raises(UserError, match=r"the newest is .*seed=3"):
        compose("eval", f"run={stored_run.parent}")


def test_a_damaged_configuration_is_the_users_to_mend(compose, stored_run):
    (stored_run / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"^run=.*config\.yaml cannot be read"):
        compose("eval", f"run={stored_run}")


def test_a_runs_extra_packages_need_the_users_word_again(compose, stored_run):
    stored = OmegaConf.load(stored_run / "config.yaml")
    stored.targets = ["cnnlab", "keras", "rich"]
    stored.augmentation = {"theirs": {"_target_": "rich.console.Console"}}
    OmegaConf.save(stored, stored_run / "config.yaml")
    with pytest.raises(UserError, match=r"theirs\._target_=rich\.console\.Console: only cnnlab and keras"):
        compose("eval", f"run={stored_run}")
    config, _ = compose("eval", f"run={stored_run}", "targets=[cnnlab,keras,rich]")
    assert list(config.augmentation) == ["theirs"]


def test_what_was_left_to_the_data_agrees_with_what_the_data_made_of_it(compose, tmp_path):
    photos = ("dataset=image_folder", "dataset.root=photos")
    asked, _ = compose("train", *photos)
    config = asked.copy()
    config.dataset.num_classes, config.dataset.validation = 3, 0.2
    run = Run.create(tmp_path / "run", config, left_to_data(asked))
    run.begin()
    assert differences(asked, run, SAME_RESULT) == ""
    other, _ = compose("train", *photos, "num_classes=4", "dataset.validation=none")
    assert "dataset.num_classes: 3 → 4, dataset.validation: 0.2 → none" in differences(other, run, SAME_RESULT)


def test_what_was_asked_for_is_not_what_another_leaves_to_the_data(compose, tmp_path):
    asked, _ = compose("train", "dataset.num_classes=12", "dataset.validation=0.3")
    run = Run.create(tmp_path / "run", asked, left_to_data(asked))
    run.begin()
    other, _ = compose("train", "dataset.num_classes=null", "dataset.validation=auto")
    changed = "dataset.num_classes: 12 → null, dataset.validation: 0.3 → auto"
    assert differences(other, Run.open(tmp_path / "run"), SAME_RESULT) == changed


def test_a_diverged_run_that_shall_go_on_otherwise_is_offered_a_new_start(compose, stored_run):
    Run.open(stored_run).update(status="diverged")
    # it was begun in another working directory
    anew = r"start anew with a smaller learning rate: cd \S+ && cnnlab train .*optimizer\.learning_rate=0\.0001$"
    with pytest.raises(UserError, match=anew):
        compose("train", f"resume={stored_run}", "optimizer.learning_rate=0.0001")
