"""The values of a configuration that follow from others."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

SEEDS = ("initializer", "shuffle", "augmentation", "split")  # a new one goes to the end: the others keep their values
PATHS = ("run", "resume", "weights", "weights_map", "output", "data", "dataset.root")
SQLITE = "sqlite:///"


def resolve(config: DictConfig) -> None:
    """Fill in, in place, everything a configuration leaves to be derived, and resolve its interpolations.

    - each of `seeds` that is null, from `seed`;
    - `dataset.image_shape` and `dataset.num_classes`, from `input_shape` and `num_classes` where those are set;
    - paths become absolute, `~` expanded, so that they still hold when a run is resumed from elsewhere; of
      `images`, which may be patterns, only `~` is expanded. The same goes for MLflow's SQLite file, and for a
      `model.preset` that is a folder.
    """
    with open_dict(config):
        if "seeds" in config:
            _fill_seeds(config)
        if "dataset" in config:
            for key, target in (("input_shape", "image_shape"), ("num_classes", "num_classes")):
                if config[key] is not None:
                    config.dataset[target] = config[key]
        for key in PATHS:
            path = OmegaConf.select(config, key)
            if path is not None:
                OmegaConf.update(config, key, _absolute(path))
        uri = OmegaConf.select(config, "logger.mlflow.tracking_uri")
        if uri is not None and uri.startswith(SQLITE):
            config.logger.mlflow.tracking_uri = f"{SQLITE}{_absolute(uri.removeprefix(SQLITE))}"
        preset = OmegaConf.select(config, "model.preset")
        if preset is not None and Path(preset).expanduser().is_dir():  # and not a name
            config.model.preset = _absolute(preset)
        images = config.get("images")
        if images is not None:
            config.images = _at_home(images) if isinstance(images, str) else [_at_home(image) for image in images]
    OmegaConf.resolve(config)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _at_home(path: str) -> str:
    return str(Path(path).expanduser())


def derived_seeds(seed: int) -> dict[str, int]:
    """What each of `seeds` is where the configuration leaves it null: 31 bits, an int32 everywhere."""
    from numpy.random import SeedSequence  # configuration errors answer without waiting for NumPy

    children = SeedSequence(seed).spawn(len(SEEDS))
    return {name: int(child.generate_state(1)[0]) >> 1 for name, child in zip(SEEDS, children, strict=True)}


def _fill_seeds(config: DictConfig) -> None:
    for name, seed in derived_seeds(config.seed).items():
        if config.seeds[name] is None:
            config.seeds[name] = seed
