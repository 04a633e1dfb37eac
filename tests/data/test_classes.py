"""Classes of data among those of a model: by name where there are names, and never in silence."""

import logging
from pathlib import Path

import numpy as np
import pytest

from cnnlab.data.classes import align_classes, classes_of_model, differing_names, tell_lookalikes
from cnnlab.data.dataset import Dataset, Split
from cnnlab.errors import UserError


def dataset(class_names: tuple[str, ...], labels: list[int], *, named: bool = True) -> Dataset:
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Dataset("zoo", (1, 1, 1), class_names, {"test": Split(images, np.array(labels, np.int32))}, named=named)


def test_labels_are_mapped_by_name_and_that_is_told(caplog):
    caplog.set_level(logging.INFO)
    aligned = align_classes(dataset(("dog", "emu", "cat"), [0, 1, 2, 2]), ["cat", "dog", "emu"])
    assert aligned.class_names == ("cat", "dog", "emu")
    assert aligned.splits["test"].labels.tolist() == [1, 2, 0, 0]
    assert caplog.messages == [
        "zoo: labels are mapped by name: its classes are dog, emu, cat, the model's cat, dog, emu"
    ]


def test_a_class_that_the_data_lack_shifts_no_other(caplog):
    aligned = align_classes(dataset(("cat", "emu"), [0, 1]), ["cat", "dog", "emu"])
    assert aligned.splits["test"].labels.tolist() == [0, 2]


def test_the_same_classes_in_the_same_order_need_no_word(caplog):
    caplog.set_level(logging.INFO)
    assert align_classes(dataset(("cat", "dog"), [1, 0]), ["cat", "dog"]).splits["test"].labels.tolist() == [1, 0]
    assert not caplog.messages


def test_two_classes_whose_names_differ_in_their_unicode_form_stay_two():
    names = ("cafe\u0301", "caf\u00e9", "tea")
    assert align_classes(dataset(names, [0, 1, 2]), names).splits["test"].labels.tolist() == [0, 1, 2]
    assert align_classes(dataset(names[1:], [0, 1]), ["tea", names[0]]).splits["test"].labels.tolist() == [1, 0]


def test_images_of_unknown_classes_are_left_out_and_counted(caplog):
    aligned = align_classes(dataset(("auk", "cat", "bat"), [0, 1, 0, 2, 1]), ["cat", "dog"])
    assert aligned.splits["test"].images.ravel().tolist() == [1, 4]
    assert aligned.splits["test"].labels.tolist() == [0, 0]
    assert aligned.left_out["test"].tolist() == [0, 2, 3]
    (told,) = [message for message in caplog.messages if "left out" in message]
    assert told == (
        "zoo: 3 of the 5 images of split test are left out, of classes that the model does not know: auk (2), bat (1)"
    )


def test_data_of_which_nothing_is_known_are_refused():
    with pytest.raises(UserError, match=r"zoo: the model knows none of .* split test: auk \(2\); it knows cat, dog"):
        align_classes(dataset(("auk",), [0, 0]), ["cat", "dog"])


def test_data_without_names_keep_their_labels_and_what_they_count_as_is_told(caplog):
    aligned = align_classes(dataset(("0", "1"), [1, 0], named=False), ["cat", "dog"])
    assert aligned.class_names == ("cat", "dog")
    assert aligned.splits["test"].labels.tolist() == [1, 0]
    assert caplog.messages == ["zoo: has no class names, so labels count the model's classes: 0 is cat, 1 is dog"]


NUMBERS = (*map(str, (0, 1, 10, 11)), *map(str, range(2, 10)))
"""Twelve classes as their folders are sorted."""


def test_labels_without_names_are_the_numbers_that_the_model_calls_its_classes(caplog):
    caplog.set_level(logging.INFO)
    counted = tuple(map(str, range(12)))
    aligned = align_classes(dataset(counted, [0, 2, 10, 11], named=False), NUMBERS)
    assert aligned.splits["test"].labels.tolist() == [0, 4, 2, 3]
    assert "labels are mapped by name: its classes are 0, 1, 2, " in caplog.text


def test_numbered_classes_are_the_labels_of_a_run_that_had_no_names():
    data = dataset(NUMBERS, [0, 4, 2, 3])
    ours = classes_of_model(data, None, Path("run/model.keras"), is_trained_here=True)
    assert ours.splits["test"].labels.tolist() == [0, 2, 10, 11]
    assert ours.class_names == tuple(map(str, range(12)))


def test_of_anothers_model_the_outputs_count_the_folders_which_is_told(caplog):
    theirs = classes_of_model(dataset(NUMBERS, [0, 4, 2]), None, Path("model.keras"), is_trained_here=False)
    assert theirs.splits["test"].labels.tolist() == [0, 4, 2]
    assert (
        "model.keras: has no class names, so its outputs count the classes of zoo: 0 is 0, 1 is 1, 2 is 10, 3 is"
        in (caplog.text)
    )


def test_labels_without_names_beyond_the_models_classes_are_refused():
    with pytest.raises(UserError, match="zoo: has the label 2 and no class names"):
        align_classes(dataset(("0", "1", "2"), [2], named=False), ["cat", "dog"])


@pytest.mark.parametrize(
    ("were", "are", "difference"),
    [
        (["a", "b"], ["a", "b"], ""),
        (None, None, ""),
        (["b", "d"], ["a", "b"], "gone: d; new: a"),
        (["a", "b"], ["b", "a"], "in this order: a, b; now: b, a"),
        (None, ["a"], "they had no names"),
        (["a"], None, "they were called a"),
    ],
)
def test_how_names_differ_is_told_in_words(were, are, difference):
    assert differing_names(were, are) == difference


def test_an_accent_is_the_same_in_either_unicode_form():
    data = dataset(["cafe\u0301", "dog"], [0, 1])
    assert align_classes(data, ["dog", "caf\u00e9"]).splits["test"].labels.tolist() == [1, 0]
    assert differing_names(["caf\u00e9"], ["cafe\u0301"]) == ""


def test_classes_of_nearly_the_same_name_are_told(caplog):
    tell_lookalikes(dataset(["Cat", "cat ", "caf\u00e9", "cafe\u0301", "dog"], [0]))
    assert r"several classes of nearly the same name: 'Cat', 'cat '" in caplog.text
    assert r"'caf\xe9', 'cafe\u0301'" in caplog.text
    assert "dog" not in caplog.text
