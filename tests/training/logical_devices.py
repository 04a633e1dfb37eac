"""Run `cnnlab` on as many logical CPU devices as CNNLAB_LOGICAL_DEVICES says: a stand-in for a host with GPUs.

Several commands, with "--" between them, run one after the other in the process; its exit code is the last one's.
"""

import os
import sys
from itertools import groupby

import tensorflow as tf

from cnnlab.cli import main

devices = [tf.config.LogicalDeviceConfiguration()] * int(os.environ["CNNLAB_LOGICAL_DEVICES"])
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
commands = [list(words) for between, words in groupby(sys.argv[1:], "--".__eq__) if not between]
sys.exit([main(command) for command in commands][-1])
