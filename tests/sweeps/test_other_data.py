"""A sweep whose jobs were done before, now given other data."""

import shutil

import numpy as np

from cnnlab import cli

SMALL = ("input_shape=[8,8,1]", "model.padding=same", "trainer.precision=float32", "trainer.progress=none")
OPTIONS = ("dataset=arrays", *SMALL, "trainer.batch_size=8", "trainer.steps=1")


def test_jobs_that_are_done_are_told_to_be_of_other_data(train, tmp_path, monkeypatch, capsys):
    """A run that was trained by itself stands for the job, whose folder it is."""
    monkeypatch.chdir(tmp_path)
    images, labels = np.zeros((40, 8, 8, 1), "uint8"), np.arange(40) % 2
    for folder in ("v1", "v2"):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "d.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    run = train(*OPTIONS, "dataset.root=v1/d.npz")
    shutil.copytree(run, tmp_path / "outputs" / "sweeps" / "test" / "seed=0")
    sweep = ("train", "-m", *OPTIONS, "seed=0,1", "sweep.name=test", "sweep.dry_run=true")
    capsys.readouterr()

    assert cli.main([*sweep, "dataset.root=v1/d.npz"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.main([*sweep, "dataset.root=v2/d.npz"]) == 0
    assert capsys.readouterr().err == (
        f"1 job that is done was trained with dataset.root={tmp_path / 'v1' / 'd.npz'}; "
        f"give another sweep.name to train on {tmp_path / 'v2' / 'd.npz'}, if these are other data\n"
    )
