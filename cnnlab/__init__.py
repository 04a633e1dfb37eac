"""cnnlab: train, compare and look inside convolutional networks on TensorFlow.

Importing this package registers cnnlab's custom Keras layers, so that ``keras.models.load_model``
opens the models a run exports; the layers' module is loaded only once Keras itself is asked for.
"""

from cnnlab.models.registration import register_with_keras

__version__ = "0.1.0"

register_with_keras()
