"""Every model of the zoo, exported with small inputs."""

from importlib.resources import files

import pytest

from cnnlab.export.prepared import OUTPUT

SMALL = {
    "alexnet": ["input_shape=[67,67,3]", "model.conv1_padding=valid"],
    "airbench": ["input_shape=[32,32,3]"],
    "all_cnn_large": ["input_shape=[126,126,3]", "model.width=0.03"],
    "cats_dogs_cnn": ["input_shape=[64,64,3]", "model.head=sigmoid", "num_classes=2"],
    "googlenet": ["input_shape=[64,64,3]", "model.auxiliary_heads=false"],
    "lenet5": ["input_shape=[28,28,1]"],
    "lenet5_1998": ["input_shape=[28,28,1]", "num_classes=10"],
    "mnist_cnn": ["input_shape=[28,28,1]"],
    "resnet": ["input_shape=[32,32,3]", "model.depth=18", "model.stem=cifar"],
    "transfer": ["input_shape=[32,32,3]", "model.backbone=squeezenet", "model.weights=null"],
    "zfnet": ["input_shape=[53,53,3]"],
}
"""What makes them quick; the others take 32x32x3."""

MODELS = sorted(
    name
    for file in (files("cnnlab.conf") / "model").iterdir()
    if file.name.endswith(".yaml") and (name := file.name.removesuffix(".yaml")) != "hub"  # which needs a download
)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_format_computes_what_keras_does(model, prepared, exported):
    given = SMALL.get(model, ["input_shape=[32,32,3]"])
    classes = [] if any(key.startswith("num_classes") for key in given) else ["num_classes=5"]
    ready = prepared(f"model={model}", *given, *classes)
    probabilities = ready.serve(ready.images)[OUTPUT].numpy()
    assert probabilities.std(axis=0).max() > 1e-4  # else equal values would say nothing
    for format in ("saved_model", "onnx", "litert"):
        figures = exported(ready, format)
        assert figures["largest_difference"] <= 1e-5
