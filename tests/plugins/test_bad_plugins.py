"""What is wrong with a plug-in is told in one line, which names it."""

import shutil
import sys

import keras
import numpy as np
import pytest

import cnnlab
from cnnlab import cli
from cnnlab.errors import UserError
from cnnlab.models.keras_file import load_model
from cnnlab.plugins.plugin import installed_plugins

NET = "# A net.\n_target_: {package}.build\nname: {package}\nhead: softmax\npreprocessing: {{rescaling: true, \
contrast_normalization: false, normalization: false, zca_epsilon: null}}\n"


def refused(capsys, *arguments: str) -> str:
    assert cli.main([*arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_one_that_cannot_be_imported_is_told_with_its_reason_where_it_is_needed(plugin, capsys):
    code = "def build(input_shape, num_classes): ...\n\nimportant = 1 / 0\n"
    plugin("own_broken", code, {"model/own_broken.yaml": NET.format(package="own_broken")})
    assert cli.main(["train", "model=own_broken", "trainer.progress=none"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: plug-in own_broken 1.0: own_broken cannot be imported (ZeroDivisionError: division by zero)"
    )


@pytest.mark.parametrize("code", ["import no_such_package", "raise SystemExit(1)"])
def test_one_that_is_not_needed_is_told_and_does_not_stop_others(plugin, tmp_path, caplog, code):
    plugin("own_unneeded", code)
    images = keras.Input((2, 2, 1))
    keras.Model(images, keras.layers.Flatten()(images)).save(tmp_path / "net.keras")
    assert load_model(tmp_path / "net.keras", "run=R", []).output_shape == (None, 4)
    assert "plug-in own_unneeded 1.0: own_unneeded cannot be imported (" in caplog.text


def test_it_is_imported_before_a_model_is_loaded_that_needs_it(plugin, tmp_path):
    code = """
import keras

@keras.saving.register_keras_serializable(package="own_scale")
class Scale(keras.layers.Layer):
    def call(self, x):
        return 3 * x
"""
    plugin("own_scale", code)
    images = keras.Input((2, 2, 1))
    keras.Model(images, __import__("own_scale").Scale()(images)).save(tmp_path / "net.keras")
    del sys.modules["own_scale"], keras.saving.get_custom_objects()["own_scale>Scale"]
    model = load_model(tmp_path / "net.keras", "run=R", [])
    np.testing.assert_array_equal(model(np.ones((1, 2, 2, 1))), np.full((1, 2, 2, 1), 3))


def test_two_with_one_option_are_refused(plugin, capsys):
    for name in ("own_first", "own_second"):
        plugin(name, options={"model/own_net.yaml": NET.format(package=name)})
    assert refused(capsys, "train") == (
        "error: model=own_net: plug-in own_first 1.0 and plug-in own_second 1.0 both have it; "
        "uninstall one, or rename an option"
    )


def test_a_package_may_name_several_plug_ins(plugin):
    package = plugin("own_twice", options={"model/own_twice.yaml": NET.format(package="own_twice")})
    entries = package.parent / "own_twice-1.0.dist-info" / "entry_points.txt"
    entries.write_text("[cnnlab.plugins]\nfirst = own_twice\nsecond = own_twice:build\n")
    installed_plugins.cache_clear()
    assert cli.main(["train", "model=own_twice", "--cfg", "job"]) == 0


def test_an_option_of_cnnlabs_own_cannot_be_replaced(plugin, capsys):
    text = "# Mine.\n_target_: keras.optimizers.SGD\nname: adam\n"
    package = plugin("own_shadow", options={"optimizer/adam.yaml": text})
    assert refused(capsys, "train") == (
        "error: optimizer=adam: is cnnlab's own, and plug-in own_shadow 1.0 has one of that name; "
        f"rename its {package}/conf/optimizer/adam.yaml"
    )


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("modle/net.yaml", "adds to no group; did you mean model?; groups: dataset, "),
        ("train.yaml", "adds to no group"),
        ("model/net.yml", "the name of an option ends with .yaml"),
    ],
)
def test_a_file_that_no_group_would_find_is_told(plugin, capsys, path, told):
    plugin("own_lost", options={path: "# Lost.\n"})
    assert told in refused(capsys, "train")


def test_commands_without_groups_do_not_mind(plugin, capsys):
    plugin("own_mild", options={"modle/net.yaml": "# Lost.\n"})
    assert cli.main(["compare", "runs=nowhere"]) == 2
    assert "runs=nowhere: no such folder" in capsys.readouterr().err


def test_other_programs_that_use_hydra_get_none_of_it(plugin, tmp_path):
    from hydra import compose, initialize_config_dir
    from hydra.errors import MissingConfigException

    plugin("own_kept", options={"model/own_net.yaml": NET.format(package="own_kept")})
    with initialize_config_dir(str(tmp_path), version_base="1.3"), pytest.raises(MissingConfigException):
        compose("model/own_net")


def test_a_run_that_was_trained_with_another_version_tells_both(plugin, small_run, tmp_path, caplog):
    from cnnlab.config.plugin_options import require_plugins
    from cnnlab.runs.run import Run

    plugin("own_moved", version="2.0")
    run = Run.open(shutil.copytree(small_run, tmp_path / "run"))
    run.update(plugins={"own_moved": {"package": "own_moved", "version": "1.0"}})
    require_plugins(run, "run", [])
    assert "was trained with own_moved 1.0, and this is plug-in own_moved 2.0" in caplog.text
    run.update(plugins={"own_gone": {"package": "own_gone", "version": "1.0"}})
    with pytest.raises(UserError, match=r"^run=.*: needs the plug-in own_gone 1\.0, which is not installed"):
        require_plugins(run, "run", [])
    opened = cnnlab.TrainedRun(run)
    with pytest.raises(UserError, match=r"^run=.*: needs the plug-in own_gone 1\.0"):
        _ = opened.model
    assert len(opened.metrics) == 2  # tables need none of it
    require_plugins(run, "run", ["targets=[cnnlab,keras,own_gone]"])
