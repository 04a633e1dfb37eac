"""Reading a target's arguments from its source."""

import subprocess
import sys
from typing import Annotated, Any, Literal, get_args, get_type_hints

import pytest

from cnnlab.config.ranges import AT_LEAST_0, UNIT
from cnnlab.config.signatures import find_signature
from cnnlab.errors import UserError

SOURCE = """
from dataclasses import dataclass
from typing import Literal, Optional, TypedDict, Unpack
import heavy_library_that_does_not_exist
from heavy_library_that_does_not_exist import Options

Fill = Literal["zero", "nearest"]

class Common(TypedDict):
    seed: int | None

class Base:
    def __init__(self, rate: float, **kwargs): ...

class Derived(Base):
    def __init__(self, extra: int, **kwargs): ...

class Inheriting(Base):
    pass

class Foreign(heavy_library_that_does_not_exist.Thing):
    pass

@dataclass(frozen=True)
class Record:
    fill: Fill = "zero"
    size: "int | float" = 1

@dataclass
class Longer(Record):
    more: bool = False

@dataclass
class Unknown(heavy_library_that_does_not_exist.Thing):
    more: bool = False

def worded(images: "n height width", mode: Literal[Mode.FAST, "slow"]): ...

def build(shape: tuple[int, int, int], *, units: list[int], layer: heavy_library_that_does_not_exist.Layer,
          name: Optional[str] = None, anything=3, **common: Unpack[Common]): ...

def build_imported(depth: int, **common: Unpack[Options]): ...
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "their_package").mkdir()
    (tmp_path / "their_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "their_package" / "models.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return "their_package.models"


def test_reads_names_and_hints_of_a_function_without_importing_its_module(package):
    signature = find_signature(f"{package}.build")
    assert signature.hints == {
        "shape": tuple[int, int, int],
        "units": list[int],
        "layer": Any,
        "name": str | None,
        "anything": Any,
        "seed": int | None,
    }
    assert not signature.open
    assert "their_package" not in sys.modules


def test_arguments_that_another_module_lists_are_left_open(package):
    signature = find_signature(f"{package}.build_imported")
    assert signature.hints == {"depth": int}
    assert signature.open


def test_reads_dataclass_fields_aliases_and_quoted_hints(package):
    assert find_signature(f"{package}.Record").hints == {"fill": Literal["zero", "nearest"], "size": int | float}


def test_a_dataclass_has_the_fields_of_its_base_too(package):
    assert find_signature(f"{package}.Longer").hints == find_signature(f"{package}.Record").hints | {"more": bool}
    assert find_signature(f"{package}.Unknown") is None


def test_annotations_that_are_no_types_of_a_configuration_say_nothing(package):
    assert find_signature(f"{package}.worded").hints == {"images": Any, "mode": Any}


def test_further_arguments_lead_to_the_base_class(package):
    signature = find_signature(f"{package}.Derived")
    assert signature.hints == {"rate": float, "extra": int}
    assert signature.open
    assert find_signature(f"{package}.Inheriting").hints == {"rate": float}


def test_ranges_of_cnnlabs_own_functions_belong_to_the_hint():
    hints = find_signature("cnnlab.augmentation.mixing.Mixup").hints
    assert hints == {"alpha": Annotated[float, AT_LEAST_0], "probability": Annotated[float, UNIT]}


def test_says_nothing_about_what_the_source_does_not_show(package):
    assert find_signature(f"{package}.Foreign") is None
    assert find_signature(f"{package}.something_imported") is None
    assert find_signature("math.sqrt") is None


def test_knows_cnnlabs_own_functions_with_the_aliases_they_import():
    assert find_signature("cnnlab.data.mnist.mnist").hints == {"root": str | None}
    assert find_signature("cnnlab.data.image_folder.image_folder").hints["image_shape"] == tuple[int, int, int]
    assert "same" in get_args(find_signature("cnnlab.models.mnist_cnn.mnist_cnn").hints["padding"])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("cnnlab.data.mnist.mnst", r"no mnst in cnnlab\.data\.mnist; did you mean mnist\?"),
        ("cnnlab.data.mnits.mnist", r"no module mnits in cnnlab\.data; did you mean mnist\?"),
        ("cnnlab.dota.mnist.mnist", r"no module dota in cnnlab; did you mean data\?"),
        ("keras.optimizers.SDG", r"no SDG in keras\.optimizers; did you mean SGD\?"),
        ("keras.optimiser.SGD", r"keras\.optimiser is no part .* did you mean optimizers\?"),
        ("keras.utils.get_file", r"keras\.utils is no part"),
        ("keras.src.utils.file_utils.os.system", r"is no part"),
        ("cnnlab.cli.os.system", "no module cli in cnnlab"),
        ("no_such_package.Thing", "no package no_such_package is installed"),
        ("SGD", r"expected package\.module\.name"),
    ],
)
def test_names_the_nearest_where_there_is_no_such_target(target, message):
    with pytest.raises(UserError, match=message):
        find_signature(target)


def test_imports_nothing_heavy():
    code = (
        "import sys; from cnnlab.config.signatures import find_signature as find;"
        "find('keras.optimizers.Adam'); find('cnnlab.data.digits.digits');"
        "print({'keras', 'tensorflow', 'numpy', 'sklearn'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_the_hints_are_those_python_itself_sees():
    from cnnlab.data.image_folder import image_folder

    hints = get_type_hints(image_folder)
    for name, hint in find_signature("cnnlab.data.image_folder.image_folder").hints.items():
        assert hint in (Any, hints[name])
