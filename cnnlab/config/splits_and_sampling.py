"""Checking how a dataset is divided into splits, folds and groups, and how batches are drawn from it."""

import re
from typing import Any

from cnnlab.errors import UserError


def check_splits_and_sampling(values: dict[str, Any], given: set[str]) -> None:
    """Check the folds, the groups and the sampling of a composed configuration.

    Args:
        values: the configuration, resolved.
        given: keys that the command line itself set.

    Raises:
        UserError: they contradict each other.
    """
    dataset = values["dataset"]
    _check_folds(dataset, given)
    group = dataset.get("group")
    if group is not None:
        try:
            parts = re.compile(group).groups
        except re.error as error:
            raise UserError(f"dataset.group={group}: is no regular expression ({error})") from error
        if not parts:
            raise UserError(f"dataset.group={group}: has no (…), which marks what a file's group is called")
    if dataset.get("sampling") == "balanced":
        _check_balanced(values)


def _check_folds(dataset: dict[str, Any], given: set[str]) -> None:
    folds, fold = dataset.get("folds"), dataset.get("fold")
    if folds is None:
        if fold is not None:
            raise UserError(f"dataset.fold={fold}: give dataset.folds too, how many there are")
        return
    if fold is None:
        every = ",".join(map(str, range(folds)))
        raise UserError(f"dataset.folds={folds}: give dataset.fold=0, or with -m dataset.fold={every}")
    if fold >= folds:
        raise UserError(f"dataset.fold={fold}: dataset.folds={folds} are counted from 0 to {folds - 1}")
    if "dataset.validation" in given:
        raise UserError(
            f"dataset.validation={dataset['validation']}: with dataset.folds={folds} a fold validates; leave one of "
            "them out"
        )


def _check_balanced(values: dict[str, Any]) -> None:
    key = "dataset.sampling=balanced"
    if values["loss"].get("class_weight") == "balanced":
        raise UserError(f"{key}: loss.class_weight=balanced would make up for rare classes once more; use one of them")
    for name, operation in values["augmentation"].items():
        for option in ("flip", "mode"):
            if isinstance(operation, dict) and operation.get(option) == "alternating":
                raise UserError(
                    f"{key}: augmentation.{name}.{option}=alternating needs each image once a pass; use "
                    f"augmentation.{name}.{option}={'true' if option == 'flip' else 'random'}"
                )
