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


@pytest.mark.parametrize("override", ["run='a=b'", 'run="a b"', "run=null", "runs=[a,b]", "images=[a.png,b.png]"])
def test_quoted_values_null_and_lists_stay_as_they_are(override):
    assert quote_path(override) == override


def test_paths_in_a_list_may_hold_commas_where_they_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("optimizer=adam,seed=0", "optimizer=sgd,seed=0", "3"):
        (tmp_path / name).mkdir()
    override = parsed(quote_path("runs=[optimizer=adam,seed=0, optimizer=sgd,seed=0]"))
    assert [str(item) for item in override.value()] == ["optimizer=adam,seed=0", "optimizer=sgd,seed=0"]
    assert quote_path("runs=[nowhere,'optimizer=adam,seed=0']") == "runs=[nowhere,'optimizer=adam,seed=0']"
    assert quote_path("method.images=[3,6]") == "method.images=[3,6]"  # numbers of images, whatever is there


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
