"""The run directory: its layout, record, lock and provenance."""
