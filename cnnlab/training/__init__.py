"""The training loop: devices, data loaders, steps, checkpoints, logs and progress."""
