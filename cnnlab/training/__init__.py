"""The training loop: devices, feeds, steps, checkpoints, logs and progress."""
