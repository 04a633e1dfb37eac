"""What a sweep's jobs and folders are called."""

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from cnnlab.config.resolvers import register_resolvers
from cnnlab.errors import UserError
from cnnlab.sweeps.grid import LONGEST, read_grid


@pytest.fixture
def grid():
    """`grid(*arguments, **configurations)` reads a grid as `cnnlab train -m` does."""
    with initialize_config_module("cnnlab.conf", version_base="1.3"):
        register_resolvers()
        compose("train")
        loader = GlobalHydra.instance().config_loader()
        yield lambda *arguments, **configurations: read_grid(loader, arguments, configurations)


def names(grid) -> list[str]:
    return [job.name for job in grid.jobs]


def test_a_job_is_named_by_the_swept_keys_alone_the_seed_last(grid):
    found = grid("seed=0,1", "trainer.epochs=3", "optimizer=sgd,adam")
    assert names(found) == [
        *("optimizer=sgd,seed=0", "optimizer=adam,seed=0"),
        *("optimizer=sgd,seed=1", "optimizer=adam,seed=1"),
    ]
    assert found.keys == ("optimizer", "seed")
    assert found.jobs[0].overrides == ("seed=0", "trainer.epochs=3", "optimizer=sgd")
    assert found.jobs[0].values == {"optimizer": "sgd", "seed": "0"}


def test_the_fold_comes_before_the_seed_and_after_all_else(grid):
    found = grid("seed=0,1", "dataset.fold=0,1", "dataset.folds=2", "optimizer=sgd,adam")
    assert found.keys == ("optimizer", "dataset.fold", "seed")


def test_the_order_on_the_command_line_names_no_other_sweep(grid):
    assert grid("seed=0,1", "optimizer=sgd,adam").keys == grid("optimizer=sgd,adam", "seed=0,1").keys
    one, other = grid("trainer.epochs=3", "name=a", "seed=0,1"), grid("name=a", "seed=0,1", "trainer.epochs=3")
    assert one.name() == other.name()


def test_another_grid_has_another_name_but_how_it_is_run_does_not_count(grid):
    name = grid("seed=0,1").name()
    assert name.startswith("seed-")
    assert name == grid("seed=0,1", "sweep.retry_failed=true", "hydra.launcher.slots=2").name()
    assert len({name, grid("seed=0,1,2").name(), grid("seed=0,1", "model=lenet5").name()}) == 3


def test_what_a_shell_or_a_file_system_would_trip_over_is_left_out_and_told_apart_by_a_hash(grid):
    found = grid("+augmentation='a b','a/b'", "name='a, b','$(rm)'")
    assert len(set(names(found))) == 4
    for name in names(found):
        assert not set(name) & set(" /'\"$()[]{}*?;&|<>\\")


def test_a_path_is_labelled_by_its_last_part_and_told_apart_by_a_hash(grid):
    found = grid(r"dataset.root='/data/2019, spring/photos','/data/2020=x/photos','photos'")
    plain, *others = sorted(names(found), key=len)
    assert plain == "dataset.root=photos"
    assert len(set(others)) == 2
    for name in others:
        assert name.startswith("dataset.root=photos-")
    assert found.jobs[0].values == {"dataset.root": "/data/2019, spring/photos"}
    assert found.jobs[0].overrides == ("dataset.root='/data/2019, spring/photos'",)


def test_long_names_are_cut_and_told_apart_by_a_hash(grid):
    found = grid(f"name={'a' * 300},{'a' * 299}b")
    assert len(set(names(found))) == 2
    assert max(map(len, names(found))) <= LONGEST


def test_lists_are_values_too(grid):
    found = grid("augmentation=[shift,cutmix],[shift]")
    assert len(set(names(found))) == 2
    assert [job.overrides for job in found.jobs] == [("augmentation=[shift,cutmix]",), ("augmentation=[shift]",)]


def test_a_range_and_a_glob_are_swept(grid):
    assert names(grid("seed=range(3)")) == ["seed=0", "seed=1", "seed=2"]
    assert "optimizer=adamw" in names(grid("optimizer=glob(adam*)"))


def test_configurations_are_sets_of_overrides_with_a_name(grid):
    found = grid("seed=0,1", plain=[], mirrored=["augmentation.shift.flip=true"])
    assert names(found) == [
        "configuration=plain,seed=0",
        "configuration=plain,seed=1",
        "configuration=mirrored,seed=0",
        "configuration=mirrored,seed=1",
    ]
    assert found.jobs[2].overrides == ("seed=0", "augmentation.shift.flip=true")
    assert found.keys == ("configuration", "seed")


@pytest.mark.parametrize("own", ["optimizer.rho=0.5", "++optimizer.rho=0.5", "~optimizer.rho"])
@pytest.mark.parametrize("given", ["optimizer.rho=0.1,0.2", "optimizer.rho=0.1", "+optimizer.rho=0.1"])
def test_a_key_is_given_or_in_a_configuration(grid, given, own):
    with pytest.raises(UserError) as refused:
        grid(given, "seed=0,1", plain=[], forgetful=["optimizer=rmsprop", own])
    assert str(refused.value) == (
        f"{given}: the configuration forgetful sets this too ({own}); "
        "leave it out, or change it in hydra.sweeper.configurations"
    )


def test_a_key_that_an_experiment_sweeps_stays_swept_where_the_command_line_gives_one_value(grid):
    assert names(grid("seed=0,1,2", "seed=1")) == ["seed=1"]


def test_the_same_value_twice_is_one_job(grid):
    assert names(grid("seed=0,0,1")) == ["seed=0", "seed=1"]


def test_combinations_that_came_up_again_are_counted(grid):
    assert grid("seed=0,0,1", "optimizer=adam,sgd").repeated == 2
    assert grid("seed=0,1").repeated == 0


def test_a_sweep_over_nothing_is_refused(grid):
    with pytest.raises(
        UserError,
        match=r"^optimizer=adam,sgd, seed=range\(0,0\): no value to train with in one of these; give at least one$",
    ):
        grid("optimizer=adam,sgd", "seed=range(0,0)")
    with pytest.raises(
        UserError, match=r"^model=glob\(nothing_like_it\*\): no value to train with; give at least one$"
    ):
        grid("model=glob(nothing_like_it*)")


@pytest.mark.parametrize("key", ["sweep.name", "++sweep.job_timeout", "hydra.launcher.slots"])
def test_how_a_sweep_is_run_is_not_swept(grid, key):
    with pytest.raises(UserError) as refused:
        grid("seed=0,1", f"{key}=a,b")
    assert str(refused.value) == (
        f"{key}=a,b: says how the sweep is run, and takes one value, in quotes where it has commas: \"{key}='a,b'\""
    )
    assert names(grid("seed=0,1", f"{key}='a,b'")) == ["seed=0", "seed=1"]


def test_what_is_no_list_of_values_is_refused(grid):
    with pytest.raises(HydraException):
        grid("optimizer.learning_rate=interval(0,1)")
