"""Fixtures shared by all tests."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from cnnlab import cli
from cnnlab.sweeps.grid import Job
from cnnlab.sweeps.state import SweepState

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure
    from omegaconf import DictConfig

    from cnnlab.data.dataset import ImageFiles

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-tensorflow", action="store_true", help="skip every test that imports TensorFlow or starts Python"
    )


class _NoTensorFlow(MetaPathFinder, Loader):
    """Skips the test, or the file of tests, that imports TensorFlow; asking where it lies is free."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name) if name in ("keras", "tensorflow") else None
        if found:
            found.loader = self
        return found

    def create_module(self, spec: ModuleSpec) -> None:
        pytest.skip("needs TensorFlow", allow_module_level=True)

    def exec_module(self, module: ModuleType) -> None:
        """Never reached; without it Python asks for the module another way."""


def _no_process(event: str, arguments: tuple) -> None:
    """An audit hook that skips the test that starts another Python, in which TensorFlow may be imported."""
    in_a_test = "PYTEST_CURRENT_TEST" in os.environ  # and not where pytest starts the workers that run them
    if in_a_test and event == "subprocess.Popen" and any(sys.executable in str(each) for each in arguments[1]):
        pytest.skip("starts Python")


def pytest_configure(config: pytest.Config) -> None:
    """Garbage is collected rarely: looking through what TensorFlow's graphs consist of cost an eighth of the suite.

    Signals that nohup or a shell's & ignores would be ignored by every process that a test starts.
    """
    gc.set_threshold(100_000, 50, 100)
    if config.getoption("--without-tensorflow"):
        sys.meta_path.insert(0, _NoTensorFlow())
        sys.addaudithook(_no_process)
    for number, default in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)


@pytest.fixture(scope="session")
def cnnlab_data() -> Path:
    """The folder that holds the real datasets; the test is skipped where there is none."""
    root = os.environ.get("CNNLAB_DATA")
    if not root:
        pytest.skip("CNNLAB_DATA is not set: no real MNIST, CIFAR-10 or cats and dogs at hand")
    return Path(root)


@pytest.fixture
def drawn(monkeypatch) -> "list[Figure]":
    """The figures that are saved during the test, in order."""
    from matplotlib.figure import Figure

    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: object, **options: object) -> None:
        save(figure, *arguments, **options)
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    """Whatever precision a fixture, a test or a command within it has set: each test begins as a process does."""
    _forget_precision()
    yield
    _forget_precision()


def _forget_precision() -> None:
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


SMALL = (
    "input_shape=[8,8,1]",
    "model.padding=same",
    "trainer.batch_size=64",
    "trainer.precision=float32",
    "trainer.progress=none",
)
TWO_EPOCHS = ["trainer.epochs=2"]
"""Overrides that make a training of the default model on digits a matter of a second."""


@pytest.fixture(scope="session")
def train(tmp_path_factory) -> Callable[..., Path]:
    """`train(*overrides)` trains small in this process and returns the run directory; it must exit with `code`."""

    def run(*overrides: str, code: int = 0) -> Path:
        directory = tmp_path_factory.mktemp("train") / "run"
        length = (
            [] if any(given.startswith(("trainer.epochs", "trainer.steps=")) for given in overrides) else TWO_EPOCHS
        )
        assert cli.main(["train", *SMALL, *length, f"hydra.run.dir={directory}", *overrides]) == code
        return directory

    return run


@pytest.fixture(scope="session")
def small_run(train) -> Path:
    """A finished small run; tests only read it."""
    return train()


@pytest.fixture(scope="module")
def sweep_of_four(trained_sweep, tmp_path_factory) -> Path:
    """A sweep of two optimizers and two seeds, of which one job never began; each file of tests has its own copy."""
    return shutil.copytree(trained_sweep, tmp_path_factory.mktemp("sweeps") / "test")


@pytest.fixture(scope="session")
def trained_sweep(train, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps") / "test"
    jobs = [
        Job(f"optimizer={name},seed={seed}", (), {"optimizer": name, "seed": str(seed)})
        for name in ("adam", "sgd")
        for seed in (0, 1)
    ]
    for job in jobs[:3]:
        run = train(f"optimizer={job.values['optimizer']}", f"seed={job.values['seed']}")
        shutil.copytree(run, folder / job.name)
    sweep_state = SweepState.of_grid(folder, ["optimizer", "seed"], "cnnlab train -m optimizer=adam,sgd seed=0,1", jobs)
    sweep_state.end(jobs[3].name, "failed", "no such file")
    return folder


def start_cnnlab(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `cnnlab` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "cnnlab", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture
def cnnlab_process() -> Callable[..., subprocess.Popen[str]]:
    """`cnnlab_process(*arguments, **environment)` starts a process that does not outlive the test."""
    started = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        started.append(start_cnnlab(*arguments, **environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def run(train) -> Path:
    """A finished run on digits that still makes mistakes; tests may add evaluations to it."""
    return train("trainer.epochs=2")


@pytest.fixture(scope="session")
def model(run) -> "keras.Model":
    """The best model of `run`: uint8 (n, 8, 8, 1) in, probabilities (n, 10) out."""
    import keras

    return keras.models.load_model(run / "model.keras")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory) -> Iterator[None]:
    """What tests cache, and trust, is not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def dataset_config() -> "Callable[..., DictConfig]":
    """`dataset_config(name, **overrides)` is conf/dataset/name.yaml as Hydra composes it."""
    from omegaconf import OmegaConf

    def dataset_config(name: str, **overrides: object) -> "DictConfig":
        folder = files("cnnlab.conf") / "dataset"
        config = OmegaConf.load(folder / f"{name}.yaml")
        shared = [OmegaConf.load(folder / f"{entry.split('@')[0]}.yaml") for entry in config.pop("defaults")[:-1]]
        return OmegaConf.merge(*shared, config, overrides)

    return dataset_config


@pytest.fixture
def files_of() -> "Callable[..., ImageFiles]":
    """`files_of(paths, image_shape, resize="squash", resize_size=None)`: images in files, as a dataset has them."""
    from cnnlab.data.image_files import check_images, image_files

    def files_of(
        paths: Iterable[Path | str], shape: tuple[int, int, int], resize: str = "squash", resize_size: int | None = None
    ) -> "ImageFiles":
        names = [str(path) for path in paths]
        return image_files(names, check_images(names), shape, resize, resize_size)

    return files_of


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def save_image(tmp_path) -> Callable[..., Path]:
    """`save_image(name, pixels)` writes uint8 pixels (h, w, 1 or 3) below `tmp_path` and returns the file."""

    def save(name: str, pixels: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(path)
        return path

    return save
