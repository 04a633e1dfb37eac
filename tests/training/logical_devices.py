"""Run `cnnlab` on as many logical CPU devices as CNNLAB_LOGICAL_DEVICES says: a stand-in for a host with GPUs."""

import os
import sys

import tensorflow as tf

from cnnlab.cli import main

devices = [tf.config.LogicalDeviceConfiguration()] * int(os.environ["CNNLAB_LOGICAL_DEVICES"])
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
sys.exit(main())
