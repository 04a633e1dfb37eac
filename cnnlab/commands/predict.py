"""`cnnlab predict`: find files → check → classify → table and CSV."""

from pathlib import Path

from omegaconf import DictConfig

from cnnlab.data.classes import numbered_classes
from cnnlab.data.find_files import find_files
from cnnlab.data.image_files import check_given
from cnnlab.evaluation.classify_files import Prediction, classify_files
from cnnlab.evaluation.load_model import class_count, load_best, run_classes
from cnnlab.evaluation.prediction_table import print_table, require_free, reserve_output, write_csv
from cnnlab.runs.files import require_writable
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import configure_runtime


def predict(config: DictConfig, directory: Path) -> None:
    """Classify image files with a run's best model; print a table, write a CSV and print where it is.

    Args:
        config: the resolved and validated configuration (conf/predict.yaml).
        directory: the run; without `config.output` the CSV goes to RUN/predict/.

    Raises:
        UserError: nothing matches `images`, no file can be decoded, `output` exists, or the run has no model.
    """
    if config.output is None:
        require_writable(directory)
    else:
        require_free(config.output)
    predictions = predict_files(config)
    output = reserve_output(config.output, directory)
    try:
        write_csv(output, predictions)
    except BaseException:
        output.unlink()
        raise
    print_table(predictions)
    print(output)


def predict_files(config: DictConfig) -> list[Prediction]:
    """What a run's best model takes the files for that `config.images` names.

    Raises:
        UserError: nothing matches, no file can be decoded, or the run has no model.
    """
    configure_runtime(config.trainer)
    files = find_files([config.images] if isinstance(config.images, str) else config.images)
    run = Run.open(config.run)
    model = load_best(run, config.targets)
    class_names = run_classes(run) or numbered_classes(class_count(model))
    checked = check_given(files, f"images={config.images}")
    return classify_files(config, model, files, checked, class_names)
