"""A model of the user's own, in a package that is not installed: from training to pictures, and who is trusted."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from cnnlab import cli
from cnnlab.config.targets import DEFAULT_PACKAGES
from cnnlab.errors import UserError
from cnnlab.models.keras_file import load_model, require_saveable
from cnnlab.plugins.plugin import installed_plugins

MYNET = '''
import keras


@keras.saving.register_keras_serializable(package="mynet")
class Scale(keras.layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, x):
        return x * self.gain


class Shift(keras.layers.Layer):
    """Not registered; it forgets what it was built with."""

    def __init__(self, by=1.0, remember=False, **kwargs):
        super().__init__(**kwargs)
        self.by, self.remember = by, remember

    def call(self, x):
        return x + self.by

    def get_config(self):
        return super().get_config() | ({"by": self.by} if self.remember else {})


def build(input_shape, num_classes, **options):
    images = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, activation="relu")(images)
    x = keras.layers.GlobalAveragePooling2D()(Scale()(x))
    return keras.Model(images, keras.layers.Dense(num_classes)(x), name="mine")


def normalizing(input_shape, num_classes, **options):
    layers = [keras.layers.Normalization(), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
    return keras.Sequential([keras.Input(input_shape), *layers])


@keras.saving.register_keras_serializable(package="mynet")
class Net(keras.Model):
    def __init__(self, input_shape, num_classes, **options):
        super().__init__()
        self.given = {"input_shape": input_shape, "num_classes": num_classes}
        self.conv = keras.layers.Conv2D(4, 3, activation="relu")
        self.scale = Scale()
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.dense = keras.layers.Dense(num_classes, activation="softmax")

    def call(self, images):
        return self.dense(self.pool(self.scale(self.conv(images))))

    def get_config(self):
        return self.given
'''
TRUST = "targets=[cnnlab,keras,mynet]"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "mynet.py").write_text(MYNET)
    return folder


@pytest.fixture(autouse=True)
def _in_the_project(project, monkeypatch) -> Iterator[None]:
    """Work in its folder, which is not on Python's path, and begin as a process does: nothing is imported yet."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget()
    yield
    forget()


def forget() -> None:
    sys.modules.pop("mynet", None)
    installed_plugins.cache_clear()
    known = keras.saving.get_custom_objects()
    for name in [name for name in known if name.startswith("mynet>")]:
        del known[name]


@pytest.fixture(scope="module")
def trained(train, project) -> Path:
    """A run of the subclassed model, with a layer of its own; trained in the project's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setattr(sys, "path", [*sys.path])
        return train(TRUST, "model._target_=mynet.Net", "trainer.steps=3")


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def image(tmp_path) -> Path:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def test_a_function_that_builds_one_is_trained_and_evaluated(train):
    run = train(TRUST, "model._target_=mynet.build", "trainer.steps=1")
    forget()
    assert cli.main(["eval", f"run={run}", TRUST]) == 0


def test_it_is_evaluated_predicted_with_visualised_and_resumed(run, image):
    for command in (
        ["eval", f"run={run}"],
        ["predict", f"run={run}", f"images={image}"],
        ["visualize", f"run={run}", "method=saliency", "method.images=1"],
        ["visualize", f"run={run}", "method=grad_cam", "method.images=1"],
        ["train", f"resume={run}", "trainer.steps=5"],
    ):
        forget()
        assert cli.main([*command, TRUST]) == 0


def test_a_method_that_follows_the_graph_is_refused(run, capsys):
    for method in ("deconvnet", "guided_backprop", "feature_maps"):
        forget()
        assert cli.main(["visualize", f"run={run}", f"method={method}", TRUST]) == 2
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
        assert "is a subclassed model or a layer of layers, which has no graph" in line


def test_a_resumed_network_normalises_with_the_weights_it_was_trained_with(train, tmp_path):
    import_mynet(tmp_path)
    start = sys.modules["mynet"].normalizing((8, 8, 1), 10)
    start.layers[0].adapt(np.random.default_rng(0).normal(0.4, 0.2, (100, 8, 8, 1)))
    start.save(tmp_path / "start.keras")
    options = (TRUST, "model._target_=mynet.normalizing", f"weights={tmp_path}/start.keras")
    straight, resumed = (train(*options, f"trainer.steps={steps}") for steps in (3, 1))
    assert cli.main(["train", f"resume={resumed}", "trainer.steps=3", TRUST]) == 0
    ours, theirs = (keras.models.load_model(run / "last.keras").get_weights() for run in (resumed, straight))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_its_files_open_with_keras_alone_once_its_classes_are_registered(run):
    import_mynet(run)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    for name in ("model.keras", "last.keras"):
        probabilities = np.asarray(keras.models.load_model(run / name)(images))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_the_target_alone_makes_an_option(tmp_path, project):
    (project / "conf" / "model").mkdir(parents=True)
    (project / "conf" / "model" / "mine.yaml").write_text("_target_: mynet.Net\n")
    short = ("trainer.steps=1", "trainer.progress=none", "input_shape=[8,8,1]", f"hydra.run.dir={tmp_path}/run")
    assert cli.main(["train", "--config-dir", str(project / "conf"), "model=mine", TRUST, *short]) == 0
    assert load_model(tmp_path / "run" / "model.keras", "run=R", ["mynet"]).output_shape == (None, 10)


def test_no_command_imports_it_unasked_whatever_the_run_says(run, image, capsys):
    for command in (
        ["eval", f"run={run}"],
        ["predict", f"run={run}", f"images={image}"],
        ["visualize", f"run={run}", "method=saliency"],
        ["train", f"resume={run}", "trainer.steps=5"],
        ["eval", f"weights={run}/model.keras", "input_shape=[8,8,1]"],
        ["train", f"weights={run}/model.keras", "input_shape=[8,8,1]", "model.padding=same"],
    ):
        assert cli.main(command) == 2
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
        assert "if you trust mynet, add 'targets=[cnnlab,keras,mynet]'" in line
        assert "mynet" not in sys.modules


def a_file(folder: Path, layer: str, **arguments) -> Path:
    import_mynet(folder)
    images = keras.Input((2, 2, 1))
    keras.Model(images, getattr(sys.modules["mynet"], layer)(**arguments)(images)).save(folder / "net.keras")
    forget()
    return folder / "net.keras"


def import_mynet(folder: Path) -> None:
    sys.path.append(str(Path.cwd()))
    __import__("mynet")


def test_a_layer_of_an_installed_plug_in_is_trusted(tmp_path):
    path = a_file(tmp_path, "Scale")
    with pytest.raises(UserError, match=r"^run=R: net\.keras needs mynet>Scale of mynet; if you trust mynet, add"):
        load_model(path, "run=R", DEFAULT_PACKAGES)
    installed = tmp_path / "mynet-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: mynet\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[cnnlab.plugins]\nmynet = mynet\n")
    sys.path.append(str(tmp_path))
    forget()
    assert load_model(path, "run=R", DEFAULT_PACKAGES)(np.ones((1, 2, 2, 1))).shape == (1, 2, 2, 1)


def test_a_trusted_layer_need_not_be_registered(tmp_path):
    path = a_file(tmp_path, "Shift", by=3.0, remember=True)
    np.testing.assert_array_equal(load_model(path, "run=R", ["mynet"])(np.ones((1, 2, 2, 1))), np.full((1, 2, 2, 1), 4))


def test_a_trusted_package_that_has_changed_is_told(tmp_path, project):
    path = a_file(tmp_path, "Scale")
    (tmp_path / "mynet.py").write_text("")
    sys.path.insert(0, str(tmp_path))
    with pytest.raises(UserError, match=r"net\.keras needs mynet>Scale, which mynet has no longer"):
        load_model(path, "run=R", ["mynet"])
    (tmp_path / "mynet.py").write_text("import no_such_package")
    forget()
    with pytest.raises(UserError, match=r"net\.keras needs mynet, which cannot be imported \(No module named"):
        load_model(path, "run=R", ["mynet"])
    (tmp_path / "mynet.py").write_text("raise SystemExit(0)")
    forget()
    with pytest.raises(
        UserError, match=r"needs mynet, which cannot be imported \(SystemExit: 0; put what it does as a s"
    ):
        load_model(path, "run=R", ["mynet"])


def test_a_model_that_would_not_come_back_from_its_file_is_refused_before_it_is_trained(tmp_path):
    import_mynet(tmp_path)
    images = keras.Input((2, 2, 1))
    forgetful = keras.Model(images, sys.modules["mynet"].Shift(by=3.0)(images))
    with pytest.raises(UserError, match=r"^KEY: computes something else once it is saved and loaded again; let get_c"):
        require_saveable(forgetful, "KEY", ["mynet"])
    unsafe = keras.Model(images, keras.layers.Lambda(lambda x: x + 1)(images))
    with pytest.raises(UserError, match=r"^KEY: network\.keras cannot be loaded; .*Lambda"):
        require_saveable(unsafe, "KEY", ["mynet"])
    faithful = keras.Model(images, sys.modules["mynet"].Shift(by=3.0, remember=True)(images))
    require_saveable(faithful, "KEY", ["mynet"])


def test_a_package_that_is_nowhere_is_told_with_where_it_was_looked_for(capsys, project):
    assert cli.main(["train", "targets=[cnnlab,keras,mynets]", "model._target_=mynets.build"]) == 2
    assert f"no package mynets is installed or in the working directory, {project}" in capsys.readouterr().err
