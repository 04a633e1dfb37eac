"""Signals that ask for the end: heard at once, and left alone where they are ignored."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cnnlab.training.signals import STOP_SIGNALS

WAIT = "while not stop.signal_number: time.sleep(0.01)"
BUSY = "hashlib.pbkdf2_hmac('sha1', b'', b'', 2**30)"  # minutes within one bytecode, as an operation of TensorFlow's


@pytest.fixture
def program() -> Iterator:
    """`program(block, ignored)` runs Python code under `stop_on_signals`, with a signal ignored from the start."""
    started = []

    def run(block: str, ignored: int | None = None) -> subprocess.Popen[str]:
        code = f"""
import hashlib, sys, time
from cnnlab.training.signals import stop_on_signals
with stop_on_signals() as stop:
    print("ready", flush=True)
    {block}
print("got", int(stop.signal_number))
"""
        before = (lambda: signal.signal(ignored, signal.SIG_IGN)) if ignored else None
        process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True, preexec_fn=before)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_each_of_them_asks_for_the_end_and_says_so(program, number):
    process = program(WAIT)
    process.send_signal(number)
    output, messages = process.communicate(timeout=60)
    assert output == f"got {int(number)}\n"
    assert "stopping after this chunk; Ctrl-C " in messages


def test_nohup_is_respected(program):
    process = program(WAIT, ignored=signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=60)[0] == f"got {int(signal.SIGUSR1)}\n"


def test_ctrl_c_is_answered_while_the_device_works_and_a_second_one_ends_the_process(program):
    process = program(BUSY)
    process.send_signal(signal.SIGINT)
    assert "stopping after this chunk" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert "aborted; what was saved before stays" in process.stderr.read()


def test_a_cluster_that_signals_twice_does_not_abort(program):
    process = program("time.sleep(1)")
    process.send_signal(signal.SIGTERM)
    assert "SIGTERM: stopping" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == f"got {int(signal.SIGTERM)}\n"
