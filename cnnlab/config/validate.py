"""Refusing what cannot work before anything slow is imported."""

from collections.abc import Iterator, Sequence
from typing import Any, get_type_hints

from omegaconf import DictConfig

from cnnlab.config.crops import require_crops_first, require_larger, require_streamed
from cnnlab.config.explain import chosen_in_defaults
from cnnlab.config.export_choice import check_backend, check_export
from cnnlab.config.extras import require_model_package, require_packages
from cnnlab.config.flat import plain
from cnnlab.config.initializer_choice import reported_initializers
from cnnlab.config.options import option_names
from cnnlab.config.overrides import override_key
from cnnlab.config.schema import COMMANDS, GROUPS, METHODS, SEVERAL, TABLE_FORMAT
from cnnlab.config.scoring import check_scoring
from cnnlab.config.signatures import Signature, find_signature
from cnnlab.config.splits_and_sampling import check_splits_and_sampling
from cnnlab.config.targets import DEFAULT_PACKAGES, check_targets, find_in_working_directory
from cnnlab.config.tta import parse_views, require_croppable
from cnnlab.config.types import check, shown
from cnnlab.errors import UserError

MIXING = "cnnlab.augmentation.mixing."
RANDOM_CROP = "cnnlab.augmentation.random_crop.RandomCrop"
RANDOM_RESIZED_CROP = "cnnlab.augmentation.random_resized_crop.RandomResizedCrop"
TRAINER = "cnnlab.training.trainer_config.TrainerConfig"
BUILT_WITH = ("input_shape", "num_classes")
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def validate(config: DictConfig, command: str, overrides: Sequence[str]) -> None:
    """Check a composed configuration: keys, types, ranges, targets with their arguments, contradictions.

    Args:
        config: the configuration of a command; interpolations need not be resolved.
        command: its name, such as train.
        overrides: what the command line itself set, as "key=value".

    Raises:
        UserError: something is wrong; the message names the key, the value and a hint.
    """
    values = plain(config, resolve=True)
    given = set(map(override_key, overrides))
    _check_groups(values)
    _check_command(values, command, given)
    if command != "inspect":
        _check_complete(values)
    packages = _packages(values, given)
    find_in_working_directory(packages)
    _check_length(values.get("trainer") or {})
    for key, node in _nodes(values):
        _check_group(node, key, packages)
    _check_recipe(values)
    check(values, COMMANDS[command], "")
    if command == "visualize" and values.get("method") is None:
        options = [name for name in option_names("method") if name != "all"]
        raise UserError(f"visualize: give method=NAME, one of {', '.join(options)}; method=all draws what says most")
    if command == "export":
        check_export(values["format"], values["precision"])
    if command == "eval" and values["backend"] is not None:
        check_backend(values["backend"], values["run"])
    if "trainer" in values and values.get("run") is None:
        _check_present(values)
        _check_classes_known(values, command)
    if command == "inspect":
        reported = reported_initializers(config, overrides)
        for initializer in map(plain, reported.values()):
            _check_group(initializer, "initializer", packages)
            _check_pretrained(values["model"], initializer)
        if reported:  # else it needs no files, so no path to them
            _check_complete(values)
    _check_chosen(values, "augmentation", "operation")
    _check_chosen(values, "logger", "logger")
    _check_chosen(values, "metric", "metric")
    if command == "train":
        require_packages(values.get("logger", {}))
    if "trainer" in values:
        _check_contradictions(values, given)


def _check_groups(values: dict[str, Any]) -> None:
    """A recipe may write `optimizer: sgd`, and a file of a group may name no target, of which nothing can be made."""
    for group in GROUPS.keys() & values.keys():
        node = values[group]
        if node is not None and not isinstance(node, dict):
            raise UserError(f"{group}={shown(node)}: {chosen_in_defaults(group, shown(node))}")
        if node is not None and "_target_" not in node and group not in (*SEVERAL, "trainer"):
            raise UserError(
                f"{group}._target_: is missing; the file of an option names its function or class, "
                "as _target_: package.module.name"
            )


_OF_THE_TRAINING = (
    "model",
    "optimizer",
    "loss",
    "augmentation",
    "initializer",
    "schedule",
    "trainer.precision",
    "seed",
    "weights",
    "weights_map",
)
"""What a trained model no longer depends on."""


def _check_command(values: dict[str, Any], command: str, given: set[str]) -> None:
    if command in ("eval", "predict", "export", "visualize") and values["run"] is not None:
        drawn = ("augmentation",) if command == "visualize" else ()  # is drawn as it is given
        past = [
            key
            for key in sorted(given)
            if any(f"{key}.".startswith(f"{other}.") for other in _OF_THE_TRAINING if other not in drawn)
        ]
        if past:
            hint = "; to draw the splits in another way, give seeds.split" if past[0] == "seed" else ""
            raise UserError(f"{past[0]}: run={values['run']} is taken as it was trained; leave {past[0]} out{hint}")
    if command == "eval":
        if (values["run"] is None) == (values["weights"] is None):
            raise UserError("eval: give either run=RUN, a run's folder, or weights=FILE with model=… and dataset=…")
        allowed = {f"dataset.{key}" for key in TABLE_FORMAT}
        others = [
            key for key in sorted(given - allowed) if key.split(".")[0] in ("dataset", "input_shape", "num_classes")
        ]
        if values["run"] is not None and values["data"] is not None and others:
            raise UserError(f"{others[0]}: data={values['data']} takes the place of the run's dataset; leave one out")
    elif command == "predict":
        for key, what in (("run", "a run's folder"), ("images", "a file, a glob or a list of files")):
            if values[key] is None:
                raise UserError(f"predict: give {key}=…, {what}")
    elif command == "export" and values["run"] is None:
        raise UserError("export: give run=…, a run's folder")
    if values.get("weights_map") is not None and (values["weights"] is None or values["weights"].endswith(".keras")):
        raise UserError(
            f"weights_map={values['weights_map']}: says which array is which in an HDF5 file of Keras 1 or 2, or in a "
            f"TensorFlow checkpoint; weights={values['weights']} is neither"
        )
    if command != "train" and "weights_head" in given:
        raise UserError(
            f"weights_head={values['weights_head']}: only a training starts without the head of its weights"
        )
    if command == "train" and "weights_head" in given and values["weights"] is None and values["resume"] is None:
        raise UserError(f"weights_head={values['weights_head']}: there are no weights to take; give weights=FILE")
    if command != "train" and values.get("resume") is not None:
        raise UserError(f"resume={values['resume']}: only train resumes a run; give {command} run=RUN")


def _check_recipe(values: dict[str, Any]) -> None:
    """A recipe's keys stand at the top if its first line says so; else Hydra puts them below its folder's name."""
    if isinstance(values.get("experiment"), dict):
        raise UserError(
            f"experiment={shown(values['experiment'])}: a recipe sets keys of all groups; begin its file with the line "
            "`# @package _global_`, and save it without a byte order mark"
        )


def _check_length(trainer: dict[str, Any]) -> None:
    if trainer.get("epochs", 0) is None:
        steps = trainer.get("steps")
        so = "give a number of passes, or trainer.steps" if steps is None else f"trainer.steps={steps} sets the length"
        raise UserError(f"trainer.epochs=null: leave it out; {so}")


def _nodes(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The groups, and of several methods or metrics each, by key."""
    for group in (*GROUPS, *METHODS):
        node = values.get(group)
        if group in (*METHODS, "metric") and node and "_target_" not in node:
            yield from ((f"{group}.{name}", item) for name, item in node.items() if isinstance(item, dict))
        elif node is not None:
            yield group, node


def _check_group(node: dict[str, Any], key: str, packages: Sequence[str]) -> None:
    schema = (GROUPS | METHODS)[key.partition(".")[0]]
    labels = get_type_hints(schema)
    check({name: item for name, item in node.items() if name in labels}, schema, key)
    check_targets(node, key, packages, labels)
    if key == "model":
        _check_builder(node["_target_"])


def _check_builder(target: str) -> None:
    signature = find_signature(target)
    missing = [name for name in BUILT_WITH if signature and not signature.open and name not in signature.hints]
    if missing:
        raise UserError(
            f"model._target_={target}: takes no {' and no '.join(missing)}; a model is called with "
            "input_shape=(height, width, channels) and num_classes"
        )


def _check_present(values: dict[str, Any]) -> None:
    """A group from a file of the user's own may lack a key of ours, and ~key takes one out."""
    for group, schema in GROUPS.items():
        required = set() if group in SEVERAL else schema.__required_keys__
        if group == "trainer":
            _check_trainer(values["trainer"])
            required = (find_signature(TRAINER) or Signature()).hints.keys()
        for name in sorted(required - (values.get(group) or {}).keys()):
            raise UserError(f"{group}.{name}: is missing; give it, as +{group}.{name}=… or in the file of the group")


def _check_trainer(trainer: dict[str, Any]) -> None:
    """Without its target, nothing would check its keys."""
    if trainer.get("_target_") != TRAINER:
        raise UserError(f"trainer._target_={shown(trainer.get('_target_'))}: must be {TRAINER}")


def _check_classes_known(values: dict[str, Any], command: str) -> None:
    """Where the number of classes is the data's, a command that needs it needs to know where these are."""
    dataset = values["dataset"]
    counts = dataset["num_classes"], values["num_classes"]
    if command not in ("train", "eval", "inspect") or counts != (None, None):
        return
    reader = find_signature(dataset["_target_"]) or Signature()
    if "name" in reader.hints:  # it is found by its name
        _check_complete({"dataset": dataset})
    elif dataset.get("root", "") is None:
        instead = ", or num_classes=K to do without" if command == "inspect" else ""
        raise UserError(f"dataset.root=null: give dataset.root=…, where your images are{instead}")


def _check_complete(values: dict[str, Any]) -> None:
    for key in _missing(values, ""):
        raise UserError(f"{key}: has no value; give {key}=…")


def _missing(value: Any, key: str) -> Iterator[str]:
    """The keys whose value is OmegaConf's mark for "mandatory"."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _missing(item, f"{key}.{name}" if key else name)
    elif value == "???":
        yield key


def _packages(values: dict[str, Any], given: set[str]) -> list[str]:
    packages = values.get("targets", DEFAULT_PACKAGES)
    check(packages, list[str], "targets")
    if packages != DEFAULT_PACKAGES and "targets" not in given:
        raise UserError(
            f"targets={shown(packages)}: which code may run is decided on the command line, not in a file; "
            f"add 'targets={shown(packages)}' to the command if you trust it"
        )
    return packages


def _check_chosen(values: dict[str, Any], group: str, kind: str) -> None:
    """Every key of a group of several is one of its kind, unless it is one itself, as in runs of an earlier time."""
    nodes = values.get(group, {})
    if "_target_" in nodes:
        return
    for name, node in nodes.items():
        key = f"{group}.{name}"
        if not isinstance(node, dict):
            raise UserError(f"{key}={shown(node)}: is no {kind}; the options of one are set as {key}.OPTION=…")
        if "_target_" not in node:
            chosen = [*(other for other in nodes if other != name), name]
            raise UserError(
                f"{key}={shown(node)}: {name} is not among the chosen {kind}s; "
                f"choose it, {group}=[{','.join(chosen)}], or take the key out, ~{key}"
            )


def _check_contradictions(values: dict[str, Any], given: set[str]) -> None:
    trainer = values["trainer"]
    check_scoring(values)
    if "trainer.epochs" in given and trainer["steps"] is not None:
        raise UserError(
            f"trainer.epochs={trainer['epochs']}: trainer.steps={trainer['steps']} sets the length already; "
            "give one of them, or trainer.steps=null"
        )
    if trainer["strategy"] == "one_device" and trainer["devices"] not in ("auto", 1):
        raise UserError(
            f"trainer.devices={trainer['devices']}: strategy=one_device uses one; use trainer.strategy=mirrored"
        )
    if trainer["data"] == "stream" and trainer["steps_per_call"] not in ("auto", 1):
        raise UserError(
            f"trainer.steps_per_call={trainer['steps_per_call']}: trainer.data=stream feeds one step at a time; "
            "use steps_per_call=auto or data=cached"
        )
    _check_pretrained(values["model"], values["initializer"])
    require_model_package(values["model"])
    _check_pairs(values)
    _check_crops(values)
    if "tta" in values:
        _check_views(values)
    optimizer = values["optimizer"]
    clips = [f"optimizer.{key}={optimizer[key]}" for key in CLIPS if optimizer.get(key) is not None]
    if len(clips) > 1:
        raise UserError(f"{' and '.join(clips)}: gradients are clipped in one way; set the others to null")
    check_splits_and_sampling(values, given)
    trains = values.get("run") is None
    if trains and values["dataset"]["validation"] == "none" and values["dataset"].get("folds") is None:
        _check_without_validation(values, given)


def _check_pretrained(model: dict[str, Any], initializer: dict[str, Any]) -> None:
    for name, value in model["preprocessing"].items() if {"backbone", "preset"} & model.keys() else ():
        raise UserError(f"model.preprocessing.{name}={shown(value)}: the backbone brings its own; leave the key out")
    weights = model.get("weights")
    if weights is not None and (initializer["_target_"] is not None or initializer["bias"] is not None):
        raise UserError(
            f"initializer={initializer['name']}: would overwrite model.weights={weights}; "
            "use initializer=default with initializer.bias=null, or model.weights=null"
        )


def _check_pairs(values: dict[str, Any]) -> None:
    """Operations that mix neighbours need an even number of images on each device."""
    batch_size, devices = values["trainer"]["batch_size"], values["trainer"]["devices"]
    together = 2 * (1 if devices == "auto" else devices)
    for name, operation in values["augmentation"].items():
        mixes = isinstance(operation, dict) and operation["_target_"].startswith(MIXING)
        if mixes and batch_size % together:
            raise UserError(
                f"trainer.batch_size={batch_size}: {name} mixes images in pairs; use a multiple of {together}"
            )


def _check_crops(values: dict[str, Any]) -> None:
    dataset = values["dataset"]
    stored, longer = dataset.get("resize_size"), max((values["input_shape"] or dataset["image_shape"])[:2])
    if stored is not None and stored < longer:
        raise UserError(
            f"dataset.resize_size={stored}: images of {longer} pixels do not fit into it; use {longer} or more"
        )
    operations = {name: node for name, node in values["augmentation"].items() if isinstance(node, dict)}
    crops = [name for name, node in operations.items() if node["_target_"] in (RANDOM_CROP, RANDOM_RESIZED_CROP)]
    require_crops_first([*operations], crops)
    for name in crops:
        if operations[name]["_target_"] == RANDOM_RESIZED_CROP:
            require_streamed(name, values["trainer"]["data"] if "resize" in dataset else "auto")  # arrays may be cached
        elif operations[name].get("shorter_side") is None:
            require_larger(name, stored, longer)


def _check_views(values: dict[str, Any]) -> None:
    dataset = values["dataset"]
    longer = max((values["input_shape"] or dataset["image_shape"])[:2])
    require_croppable(parse_views(values["tta"]), dataset.get("resize"), dataset.get("resize_size"), longer)


def _check_without_validation(values: dict[str, Any], given: set[str]) -> None:
    trainer = values["trainer"]
    patience, monitor = trainer["early_stopping_patience"], trainer["monitor"]
    nothing = "dataset.validation=none leaves nothing to validate on"
    if patience is not None:
        raise UserError(f"trainer.early_stopping_patience={patience}: {nothing}; keep a validation split or use null")
    if "trainer.monitor" in given:
        raise UserError(f"trainer.monitor={monitor}: {nothing}; keep a validation split, or leave it out")
    watched = values["schedule"].get("monitor")
    if watched is not None and str(watched).startswith("val_"):
        raise UserError(f"schedule.monitor={watched}: {nothing}; use monitor={str(watched).removeprefix('val_')}")
