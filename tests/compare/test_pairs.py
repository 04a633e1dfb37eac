"""`cnnlab compare runs=[A,B]`: in what two runs differ, and on which images."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from scipy.stats import binomtest

from cnnlab import cli
from cnnlab.compare.collect import collect
from cnnlab.compare.exported import write_exported
from cnnlab.compare.notes import provenance_notes
from cnnlab.compare.pairs import disagreement, disagreements, what_differs, write_pair
from cnnlab.runs.run import Run


@pytest.fixture(scope="module")
def pair(trained_sweep, tmp_path_factory) -> tuple[Path, Path]:
    """Two evaluated runs that differ in the optimizer alone; test-flip stands for an evaluation with other views."""
    folder = tmp_path_factory.mktemp("pair")
    for name in ("adam", "sgd"):
        shutil.copytree(trained_sweep / f"optimizer={name},seed=0", folder / name)
        assert cli.main(["eval", f"run={folder / name}", "split=test"]) == 0
        shutil.copytree(folder / name / "eval" / "test", folder / name / "eval" / "test-flip")
    return folder / "adam", folder / "sgd"


def test_images_that_one_run_alone_gets_right_are_listed_and_tested(pair, tmp_path):
    folder = tmp_path / "compare"
    runs = ",".join(f"'{run}'" for run in pair)
    assert cli.main(["compare", f"runs=[{runs}]", f"hydra.run.dir={folder}"]) == 0
    assert cli.main(["compare", f"runs=[{runs}]", f"hydra.run.dir={folder}"]) == 2  # it is not empty any more

    tables = [pd.read_csv(run / "eval" / "test" / "predictions.csv") for run in pair]
    right = [(table["predicted"] == table["true"]).to_numpy() for table in tables]
    alone = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
    assert sum(alone) > 10

    listed = pd.read_csv(folder / "disagreements-test.csv").set_index("index")
    assert list(listed.index) == list(np.flatnonzero(right[0] != right[1]))
    assert [(listed["right"] == which).sum() for which in ("first", "second")] == alone
    assert (listed["first"] == tables[0]["predicted"][listed.index]).all()
    assert (listed["second"] == tables[1]["predicted"][listed.index]).all()

    found = next(disagreements(*map(Run.open, pair)))
    assert found.alone == tuple(alone)
    assert found.p == pytest.approx(binomtest(alone[0], sum(alone)).pvalue)
    sentence = f"adam alone gets {alone[0]:,} right, sgd alone {alone[1]:,}"
    for name in ("verdicts.txt", "report.html"):
        assert sentence in (folder / name).read_text()
    for figure in ("confusion_difference", "only_first", "only_second"):
        for evaluation in ("test", "test-flip"):
            assert (folder / f"{figure}-{evaluation}.png").read_bytes().startswith(b"\x89PNG")


def test_models_that_agree_everywhere_are_not_distinguishable(pair, tmp_path):
    twin = shutil.copytree(pair[0], tmp_path / "twin")
    found = next(disagreements(Run.open(pair[0]), Run.open(twin)))
    assert (found.alone, found.p, len(found.images)) == ((0, 0), 1.0, 0)
    assert "not distinguishable" in found.sentence(0.95)


def test_all_that_differs_is_listed_and_nothing_else(pair, tmp_path):
    table = what_differs(*map(Run.open, pair)).set_index("key")
    assert tuple(table.loc["optimizer.name"]) == ("configuration", "adam", "sgd")
    assert tuple(table.loc["optimizer.momentum"])[1] == ""  # which adam has not
    assert {"seed", "dataset.name", "trainer.batch_size", "versions.keras"} & {*table.index} == set()
    assert table.loc["final_loss", "kind"] == "result"

    other = shutil.copytree(pair[0], tmp_path / "other")
    record = json.loads((other / "run.json").read_text())
    record["versions"]["keras"], record["commit"] = "2.0", "1" * 40
    (other / "run.json").write_text(json.dumps(record))
    table = what_differs(Run.open(pair[0]), Run.open(other)).set_index("key")
    assert {*table.index} == {"versions.keras", "commit"}
    notes = dict(note.split(": ") for note in provenance_notes(collect([str(pair[0]), str(other)])))
    assert {*notes} == {"the runs differ in versions.keras", "the runs differ in commit"}
    assert "2.0 (1)" in notes["the runs differ in versions.keras"]

    (other / "metrics.csv").unlink()
    without = what_differs(Run.open(pair[0]), Run.open(other)).set_index("key")
    assert without.loc["final_loss", "second"] == ""


def test_runs_that_were_evaluated_on_other_images_are_not_compared_image_by_image(pair, tmp_path):
    third = Path(shutil.copytree(pair[0], tmp_path / "third"))
    for path in third.glob("eval/*/predictions.csv"):
        header, first, second, *others = path.read_text().splitlines(keepends=True)
        path.write_text("".join([header, second, first, *others]))
    found = write_pair(Run.open(pair[0]), Run.open(third), tmp_path, 0.95)
    assert found.sentences[0].startswith("adam and third were not evaluated on the same images")
    assert (found.figures, [path.name for path in tmp_path.glob("*.csv")]) == ([], ["what_differs.csv"])


def test_folders_of_one_name_with_other_data_are_not_compared(pair, tmp_path):
    runs = [Path(shutil.copytree(run, tmp_path / run.name)) for run in pair]
    for run in runs:
        folder = Path(shutil.copytree(run / "eval" / "test", run / "eval" / "test-new"))
        about = json.loads((folder / "metrics.json").read_text())
        about |= {"changed": {"data": str(run)}, "root": str(run)}
        (folder / "metrics.json").write_text(json.dumps(about))
    assert [found.split for found in disagreements(*map(Run.open, runs))] == ["test", "test-flip"]


def test_what_a_run_predicted_before_its_model_changed_is_not_compared(pair, tmp_path):
    resumed = Path(shutil.copytree(pair[0], tmp_path / "resumed"))
    shutil.copy(pair[1] / "model.keras", resumed)  # as a resumed training that finds a better model leaves it
    found = write_pair(Run.open(resumed), Run.open(pair[1]), tmp_path, 0.95)
    assert not list(tmp_path.glob("disagreements-*"))
    assert [sentence.split(" is of an earlier model")[0] for sentence in found.sentences] == [
        f"{resumed}/eval/{name}" for name in ("test", "test-flip")
    ]
    assert found.sentences[0].endswith(f"; evaluate again: cnnlab eval run={resumed} split=test")


def test_an_exported_file_is_compared_with_the_model_as_it_is_now(pair, tmp_path):
    run = Path(shutil.copytree(pair[0], tmp_path / "run"))
    folder = Path(shutil.copytree(run / "eval" / "test", run / "eval" / "test-onnx"))
    about = json.loads((folder / "metrics.json").read_text()) | {"backend": "onnx"}
    (folder / "metrics.json").write_text(json.dumps(about))
    (sentence,) = write_exported(Run.open(run), tmp_path, 0.95)
    assert sentence.startswith("onnx lost 0.00 points")
    table = pd.read_csv(folder / "predictions.csv")
    wrong = table["predicted"].where((table["predicted"] != table["true"]) | (table.index % 2 == 0), "none")
    table.assign(predicted=wrong).to_csv(folder / "predictions.csv", index=False)
    (sentence,) = write_exported(Run.open(run), tmp_path, 0.95)
    lost, low, high = map(float, re.search(r"lost (.*) points .* % interval (.*) to (.*); McN", sentence).groups())
    assert 0 < low < lost <= high
    shutil.copy(pair[1] / "model.keras", run)
    told = write_exported(Run.open(run), tmp_path, 0.95)
    assert [sentence.split("; evaluate again: ")[1] for sentence in told] == [
        f"cnnlab eval run={run} split=test{backend}" for backend in (" backend=onnx", "")
    ]


def test_evaluations_of_files_of_other_names_are_not_compared(pair):
    tables = [run / "eval" / "test" / "predictions.csv" for run in pair]
    assert disagreement("test", ("one", "other"), (tables[0], tables[1])) is not None
    for folder, table in zip("ab", tables, strict=True):
        pd.read_csv(table).assign(file=f"{folder}/1.png").to_csv(table.with_suffix(".same"), index=False)
        pd.read_csv(table).assign(file=f"{folder}/{folder}.png").to_csv(table.with_suffix(".other"), index=False)
    same, other = ([table.with_suffix(suffix) for table in tables] for suffix in (".same", ".other"))
    assert disagreement("test", ("one", "other"), (same[0], same[1])) is not None
    assert disagreement("test", ("one", "other"), (other[0], other[1])) is None


def test_images_that_have_changed_are_not_shown_for_those_that_were_evaluated(pair, tmp_path, caplog):
    first, second = (Path(shutil.copytree(run, tmp_path / run.name)) for run in pair)
    for run in (first, second):
        record = json.loads((run / "run.json").read_text())
        record["fingerprints"]["test"] = "0" * 16
        (run / "run.json").write_text(json.dumps(record))
    write_pair(Run.open(first), Run.open(second), tmp_path, 0.95)
    assert not list(tmp_path.glob("only_*"))
    assert "the images of the test split are not shown: they are no longer those" in caplog.text


def test_splits_of_other_files_are_not_compared_though_their_labels_are_the_same(pair, tmp_path):
    other = Path(shutil.copytree(pair[1], tmp_path / "other"))
    record = json.loads((other / "run.json").read_text())
    record["fingerprints"]["test"] = "0" * 16  # as of another folder with as many images of each class
    (other / "run.json").write_text(json.dumps(record))
    assert list(disagreements(Run.open(pair[0]), Run.open(other))) == []


@pytest.mark.parametrize("changed", [{"seeds.split": 1}, {"dataset.folds": 5, "dataset.fold": 1}])
def test_splits_that_were_drawn_otherwise_are_other_images_even_where_their_labels_are_the_same(
    pair, tmp_path, changed
):
    first, other = (shutil.copytree(run, tmp_path / run.name) for run in pair)
    for run in (first, other):
        shutil.copytree(run / "eval" / "test", run / "eval" / "validation")
    splits = [found.split for found in disagreements(Run.open(first), Run.open(other))]
    assert splits == ["test", "test-flip", "validation"]
    config = OmegaConf.load(other / "config.yaml")
    for key, value in changed.items():
        OmegaConf.update(config, key, value)
    OmegaConf.save(config, other / "config.yaml")
    left = [found.split for found in disagreements(Run.open(first), Run.open(other))]
    assert left == ([] if "seeds.split" in changed else ["test", "test-flip"])
