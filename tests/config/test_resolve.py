"""Values that follow from others."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from cnnlab.config.resolve import resolve


def resolved(**changes):
    config = OmegaConf.create(
        {
            "name": "${dataset.name}",
            "seed": 0,
            "seeds": {"initializer": None, "shuffle": None, "augmentation": None, "split": None},
            "dataset": {"name": "d", "root": None, "image_shape": [8, 8, 1], "num_classes": 10},
            "augmentation": {"image_shape": "${dataset.image_shape}"},
            "input_shape": None,
            "num_classes": None,
            "weights": None,
            "images": None,
            "logger": {"mlflow": {"tracking_uri": None}},
        }
    )
    OmegaConf.set_struct(config, True)
    for key, value in changes.items():
        OmegaConf.update(config, key, value)
    resolve(config)
    return config


def test_seeds_derive_from_the_one_and_differ_among_themselves():
    first, again, other = resolved(), resolved(), resolved(seed=1)
    assert first.seeds == again.seeds
    assert len(set(first.seeds.values()) | set(other.seeds.values())) == 8
    assert all(0 <= seed < 2**31 for seed in first.seeds.values())


def test_a_seed_set_alone_leaves_the_others():
    alone = resolved(**{"seeds.shuffle": 5})
    assert alone.seeds.shuffle == 5
    assert alone.seeds.split == resolved().seeds.split


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_any_seed_will_do(seed):
    assert resolved(seed=seed).seeds.shuffle is not None


def test_input_shape_and_num_classes_win_over_the_datasets():
    config = resolved(input_shape=[32, 32, 3], num_classes=100)
    assert config.dataset.image_shape == [32, 32, 3]
    assert config.dataset.num_classes == 100
    assert config.augmentation.image_shape == [32, 32, 3]


def test_interpolations_are_gone():
    assert OmegaConf.to_container(resolved(), resolve=False)["name"] == "d"


def test_paths_become_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.chdir(tmp_path)
    config = resolved(**{"dataset.root": "~/data", "weights": "w.keras"})
    assert config.dataset.root == "/home/someone/data"
    assert Path(config.weights) == tmp_path / "w.keras"


def test_patterns_of_images_keep_their_form(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert resolved(images="~/photos/*.jpg").images == "/home/someone/photos/*.jpg"
    assert resolved(images=["~/a.png", "b/*.png"]).images == ["/home/someone/a.png", "b/*.png"]


def test_the_sqlite_file_of_mlflow_stays_where_it_was(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for uri, absolute in {
        "sqlite:///outputs/mlflow.db": f"sqlite:///{tmp_path}/outputs/mlflow.db",
        f"sqlite:///{tmp_path}/a.db": f"sqlite:///{tmp_path}/a.db",
        "http://localhost:5000": "http://localhost:5000",
    }.items():
        config = resolved(**{"logger.mlflow.tracking_uri": uri})
        assert config.logger.mlflow.tracking_uri == absolute
