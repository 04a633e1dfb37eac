"""`cnnlab compare`: what the runs of a sweep have come to, and which of them truly differ."""

from pathlib import Path

from omegaconf import DictConfig

from cnnlab.compare.choose import choose_metric, find_configuration
from cnnlab.compare.collect import collect
from cnnlab.compare.compared import Compared
from cnnlab.compare.exported import write_exported
from cnnlab.compare.figures import draw_figures
from cnnlab.compare.metrics import column_of
from cnnlab.compare.notes import counting_notes, interval_note, method_notes, provenance_notes
from cnnlab.compare.page import write_page
from cnnlab.compare.pairs import write_pair
from cnnlab.compare.statistics import best_configuration, held_out_share, paired_differences
from cnnlab.compare.tables import differences_table, print_summary, runs_table, shown_summary, summary_table
from cnnlab.runs.files import require_empty, write_atomically, write_table


def compare(config: DictConfig, directory: Path) -> None:
    """Compare as `compare_runs` does; print the summary, the verdicts and the folder."""
    compared = compare_runs(config, directory)
    print_summary(compared.shown, [*compared.verdicts, *compared.notes])
    print(compared.folder)


def compare_runs(config: DictConfig, directory: Path) -> Compared:
    """Write tables, curves, verdicts and a page about runs.

    A sweep is compared in SWEEP/compare/, other runs in `directory`. Writes runs.csv, summary.csv,
    paired_differences.csv (see `statistics.Difference`), verdicts.txt, the figures and report.html; for exactly two
    runs also what_differs.csv, and disagreements-SPLIT.csv of splits on which both were evaluated; for one run alone
    disagreements-SPLIT-BACKEND.csv of its exported files and its model. Runs of one configuration, seed and fold are
    one observation, for which the newest counts.

    Args:
        config: conf/compare.yaml.
        directory: where the comparison of runs that are no sweep goes.

    Raises:
        UserError: there are no such runs, or none is done; no such metric or baseline.
    """
    comparison = collect([config.runs] if isinstance(config.runs, str) else list(config.runs))
    if not comparison.folder:
        require_empty(directory)
    runs = runs_table(comparison)
    metric = choose_metric(runs, config.by)
    given_baseline = None if config.baseline is None else find_configuration(config.baseline, comparison.configurations)
    better = comparison.measured[column_of(metric)]
    baseline = given_baseline or best_configuration(runs, metric, better)
    summary = summary_table(runs, config.confidence)
    paired = paired_differences(runs, metric, baseline, config.confidence, chosen=given_baseline is None)
    folder = comparison.folder / "compare" if comparison.folder else directory
    folder.mkdir(parents=True, exist_ok=True)
    for concluded in ("verdicts.txt", "report.html"):  # they come last: where they are there, they are of the rest
        (folder / concluded).unlink(missing_ok=True)
    write_table(folder / "runs.csv", runs)
    write_table(folder / "summary.csv", summary)
    write_table(folder / "paired_differences.csv", differences_table(paired))
    figures = list(draw_figures(comparison, runs, metric, config.smoothing, folder))
    notes, differing = [*counting_notes(comparison, runs, metric), *provenance_notes(comparison)], None
    of_metric = summary[summary["metric"] == metric]
    method = []
    if of_metric["low"].notna().any():
        is_widened = held_out_share(runs[runs["counted"]]) > 0
        method.append(interval_note(metric, config.confidence, comparison.over, is_widened))
    if comparison.pair:
        pair = write_pair(*comparison.pair, folder, config.confidence)
        verdicts, differing = pair.sentences, pair.differing
        figures += pair.figures
    elif comparison.only:
        verdicts = write_exported(comparison.only, folder, config.confidence)
    else:
        verdicts = [difference.sentence(metric) for difference in paired]
        method = [*method_notes(paired, of_metric, metric, better, given_baseline is not None), *method]
    with write_atomically(folder / "verdicts.txt") as temporary:
        temporary.write_text("".join(f"{line}\n" for line in [*verdicts, *method, *notes]), "utf-8")
    shown = shown_summary(of_metric, config.confidence, comparison.over)
    write_page(folder, comparison, runs, shown, metric, verdicts, method, notes, figures, differing)
    return Compared(folder, of_metric, shown, verdicts, [*method, *notes])
