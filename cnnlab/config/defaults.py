"""The keys that a model or a loss of one's own may leave out, and their defaults."""

from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from cnnlab.config.targets import is_ours

MODEL: dict[str, Any] = {
    "head": "softmax",
    "preprocessing": {
        "rescaling": True,
        "contrast_normalization": False,
        "normalization": False,
        "zca_epsilon": None,
    },
    "outputs": "auto",
}
LOSS: dict[str, Any] = {"class_weight": None}


def target_name(node: DictConfig) -> str:
    """The `name` of a group's option, or where it has none, the last part of its `_target_`.

    What is no option, as `model: lenet5` in a recipe, is refused later, and called as it is written.
    """
    if not OmegaConf.is_dict(node):
        return str(node)
    return str(node.get("name") or str(node.get("_target_")).rpartition(".")[2])


def fill_defaults(config: DictConfig) -> None:
    """Give a model and a loss, in place, the labels that their option leaves out: `_target_` alone is enough.

    A model gets name, head, preprocessing (pixels from 0-255 to 0-1) and outputs; a loss name and class_weight.
    """
    with open_dict(config):
        for group, defaults in (("model", MODEL), ("loss", LOSS)):
            node = config.get(group)
            if not OmegaConf.is_dict(node) or node.get("_target_") is None:
                continue
            if "name" not in node:
                node.name = target_name(node)
            for key, value in defaults.items():
                if key not in node and (key != "outputs" or not is_ours(str(node._target_))):  # ours end in logits
                    node[key] = value
