"""Judging models: probabilities, metrics, figures and the report page of a run."""
