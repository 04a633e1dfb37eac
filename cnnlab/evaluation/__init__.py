"""Evaluating models: probabilities, metrics and figures."""
