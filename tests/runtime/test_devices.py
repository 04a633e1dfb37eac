"""What TensorFlow fixes at its start, and how it is told."""

import subprocess
import sys


def test_that_threads_of_null_keep_a_number_that_was_set_before_is_told():
    code = """
import logging
from types import SimpleNamespace
import tensorflow as tf
from cnnlab.runtime.devices import configure_runtime
logging.basicConfig(format="%(message)s")
for threads in (None, 1, 1, None):
    configure_runtime(SimpleNamespace(threads=threads, jit=False, deterministic=False))
    if threads:
        tf.constant(1.0)  # it starts
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    told = [line for line in answer.stderr.splitlines() if line.startswith("trainer.threads")]
    assert told == ["trainer.threads=null: TensorFlow stays at threads=1, with which it has begun in this process"]


def test_another_number_of_threads_is_refused_by_a_training_alone():
    code = """
import logging
from types import SimpleNamespace
import tensorflow as tf
from cnnlab.errors import UserError
from cnnlab.runtime.devices import configure_runtime
logging.basicConfig(format="%(message)s")
tf.constant(1.0)  # it starts
trainer = SimpleNamespace(threads=1, jit=False, deterministic=False)
configure_runtime(trainer)
try:
    configure_runtime(trainer, trains=True)
except UserError as error:
    print(error)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "trainer.threads=1: TensorFlow stays at all cores, with which it has begun in this process" in answer.stderr
    assert answer.stdout.startswith("trainer.threads=1: TensorFlow already runs with another count in this process; ")
