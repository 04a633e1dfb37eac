"""The command line on its way to Hydra."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from cnnlab.config.arguments import path_argument, prepare, quote_path, unquote_path
from cnnlab.errors import UserError

PATHS = [
    "plain",
    "a=b",
    "sweeps/model=a,seed=0",
    "with space",
    "it's",
    'double"quote',
    "{braces}",
    "[brackets]",
    "back\\slash",
    "ends with backslash\\",
    "\\'",
    "tab\tand\nnewline",
    "a:b(c)#%",
    "~/home",
    "ünïcode",
    "null and void",
    "ends with=",
]


def parsed(override: str):
    return OverridesParser.create().parse_override(override)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "key",
    ["run", "resume", "weights", "model.weights", "dataset.root", "+dataset.root", "++output", "data", "hydra.run.dir"],
)
def test_any_path_reaches_hydra_as_it_was_typed(key, path):
    override = parsed(quote_path(f"{key}={path}"))
    assert str(override.value()) == path
    assert override.get_key_element().lstrip("+") == key.lstrip("+")
    assert unquote_path(quote_path(f"{key}={path}")) == f"{key}={path}"


@pytest.mark.parametrize("given", ["~/A b", "'~/A b'"])
def test_a_run_directory_may_lie_in_the_home(given, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert prepare([f"hydra.run.dir={given}"]) == ["hydra.run.dir='/home/ada/A b'"]


@pytest.mark.parametrize("override", ["run='a=b'", 'run="a b"', "run=null", "runs=[a,b]", "images=[a.png,b.png]"])
def test_quoted_values_null_and_lists_stay_as_they_are(override):
    assert quote_path(override) == override


@pytest.mark.parametrize("pattern", ["^(scene[0-9]+)_", "^([^/]+)/", r"(\d{2,3})=", "a|b, c"])
def test_a_regular_expression_reaches_hydra_as_it_was_typed(pattern):
    assert parsed(quote_path(f"dataset.group={pattern}")).value() == pattern


def test_paths_in_a_list_may_hold_commas_where_they_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("optimizer=adam,seed=0", "optimizer=sgd,seed=0", "3"):
        (tmp_path / name).mkdir()
    override = parsed(quote_path("runs=[optimizer=adam,seed=0, optimizer=sgd,seed=0]"))
    assert [str(item) for item in override.value()] == ["optimizer=adam,seed=0", "optimizer=sgd,seed=0"]
    assert quote_path("runs=[nowhere,'optimizer=adam,seed=0']") == "runs=[nowhere,'optimizer=adam,seed=0']"
    override = parsed(quote_path("runs=[optimizer=*,3,'a=*']"))
    assert [str(item) for item in override.value()] == ["optimizer=*", "3", "a=*"]
    assert quote_path("method.images=[3,6]") == "method.images=[3,6]"  # numbers of images, whatever is there


@pytest.mark.parametrize("name", ["optimizer=adam", "optimizer=adam, augmentation=[shift,flip]", "a b"])
def test_the_name_of_a_configuration_needs_no_quotes(name):
    assert str(parsed(quote_path(f"baseline={name}")).value()) == name
    assert quote_path("baseline=null") == "baseline=null"


def swept(override: str) -> list[str]:
    """The paths that -m makes jobs of; one that is no sweep is one."""
    found = parsed(quote_path(override, sweep=True))
    return [*map(str, found.sweep_string_iterator())] if found.is_sweep_override() else [str(found.value())]


@pytest.mark.parametrize("key", ["dataset.root", "++dataset.root", "weights", "model.weights", "method.content"])
def test_with_m_commas_part_paths_where_no_path_of_that_name_is_there(key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "2019,spring", "with, space", "a=b"):
        (tmp_path / name).mkdir()
    assert swept(f"{key}=photos,nowhere") == ["'photos'", "'nowhere'"]
    assert swept(f"{key}=photos") == ["photos"]
    assert swept(f"{key}=2019,spring") == ["2019,spring"]
    assert swept(f"{key}=photos,2019,spring,a=b") == ["'photos'", "'2019,spring'", "'a=b'"]
    assert swept(f"{key}=photos, with, space") == ["'photos'", "'with, space'"]
    assert swept(f"{key}='1,2','3,4'") == ["'1,2'", "'3,4'"]
    assert swept(f"{key}='1,2'") == ["1,2"]
    assert swept(f"{key}=choice(photos,/data/b c)") == ["'photos'", "'/data/b c'"]
    assert swept(f"{key}=choice(a=b)") == ["a=b"]
    assert swept(f"{key}=null,a=b") == ["null", "'a=b'"]


def test_without_m_a_path_is_always_one():
    for value in ("a,b", "choice(a,b)", "'a','b'"):
        assert str(parsed(quote_path(f"dataset.root={value}")).value()) == value
    assert prepare(["dataset.root=a,b"]) == ["dataset.root='a,b'"]
    assert prepare(["dataset.root=a,b", "-m"]) == ["-m", "dataset.root='a','b'"]
    assert prepare(["-m", "hydra.sweep.dir=a,b"]) == ["-m", "hydra.sweep.dir='a,b'"]


def test_an_empty_path_in_a_list_is_refused():
    with pytest.raises(UserError, match=r"dataset\.root=a,,b: one of the paths is empty"):
        prepare(["-m", "dataset.root=a,,b"])


@pytest.mark.parametrize("override", ["dataset.root=a,b", "dataset.root=a=1,b c", "weights=null,w.keras"])
def test_a_list_of_paths_is_recorded_as_it_was_typed(override):
    assert unquote_path(quote_path(override, sweep=True)) == override
    assert unquote_path("dataset.root='1,2','3'") == "dataset.root='1,2','3'"


def test_only_paths_are_quoted():
    assert quote_path("optimizer.learning_rate=0.1") == "optimizer.learning_rate=0.1"
    assert quote_path("trainer.run=a=b") == "trainer.run=a=b"


def test_flags_may_stand_anywhere():
    assert prepare(["seed=1", "--cfg", "job", "run=a=b"]) == ["--cfg", "job", "seed=1", "run='a=b'"]
    assert prepare(["seed=1,2", "-m"]) == ["-m", "seed=1,2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cgf", "job"], r"--cgf: no such flag; did you mean --cfg\?"),
        (["--cfg", "jbo"], "invalid choice: 'jbo'"),
        (["=3"], "expected key=value"),
        (["resume="], "resume=: the path is empty"),
        (["seed=1", "dataset.root="], r"dataset\.root=: the path is empty"),
    ],
)
def test_what_can_not_be_meant_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        prepare(arguments)


def test_the_last_path_given_counts():
    assert path_argument(["run=a", "seed=1", "run=b=c"], "run") == "b=c"
    assert path_argument(["run='a b'"], "run") == "a b"
    assert path_argument([r"run='it\'s'"], "run") == "it's"
    assert path_argument(["run=null", "resume=x"], "run") is None
    assert path_argument(["seed=1"], "run") is None
