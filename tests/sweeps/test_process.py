"""The command that trains a job."""

from cnnlab.sweeps.process import train_arguments

OVERRIDES = [
    *("model=mynet", "seed=1", "optimizer.learning_rate=0.1", "trainer.epochs=3"),
    *("targets=[cnnlab,keras,mynet]", "dataset.root=/moved", "trainer.devices=cpu", "+logger=tensorboard"),
    "logger.mlflow.uri=http://localhost",
]


def test_a_new_job_is_given_all_its_overrides(tmp_path):
    assert train_arguments(OVERRIDES, tmp_path, ["mine"]) == [
        *("--config-dir", "mine"),
        *OVERRIDES,
        *("hydra.mode=RUN", f"hydra.run.dir={tmp_path}"),
    ]


def test_a_job_that_is_resumed_is_given_what_changes_no_result_and_the_packages_it_may_name(tmp_path):
    (tmp_path / "run.json").touch()
    assert train_arguments(OVERRIDES, tmp_path, []) == [f"resume={tmp_path}", *OVERRIDES[4:]]
