"""The YAML file that says which array is which."""

import pytest

from cnnlab.errors import UserError
from cnnlab.models.weights.weights_map import read_weights_map


def test_names_and_paths_and_what_to_leave_out(tmp_path):
    (tmp_path / "map.yaml").write_text("a/kernel: conv1/kernel # the first\ncounter: null\n")
    assert read_weights_map(tmp_path / "map.yaml") == {"a/kernel": "conv1/kernel", "counter": None}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: [b", "is no YAML"),
        ("- a\n- b", "must hold lines `name in the file: path of a variable`"),
        ("a: 3", "must hold lines"),
        ("", "must hold lines"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, content, reason):
    (tmp_path / "map.yaml").write_text(content)
    with pytest.raises(UserError, match=f"map.yaml: {reason}") as error:
        read_weights_map(tmp_path / "map.yaml")
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"weights_map=.*map.yaml: cannot be read \(No such file or directory\)"):
        read_weights_map(tmp_path / "map.yaml")
