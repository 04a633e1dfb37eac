"""Weights from files: one reader per format, one function that pairs what it read with a network's variables."""
