"""The private parts of Hydra, OmegaConf, Keras and TensorFlow that cnnlab uses: all of them, and as they are used.

pyproject.toml has upper bounds for Hydra and Keras because of these. To raise a bound, install the new version and run
this file: it says which part has gone or is called otherwise.
"""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import keras
import pytest

import cnnlab

ROOT = Path(cnnlab.__file__).parents[1]
FILES = [*(ROOT / "cnnlab").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")]

IMPORTS = {
    "hydra._internal.callbacks.Callbacks": "config",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper": "max_batch_size params",
    "hydra._internal.hydra.Hydra": "task_name config_loader",
    "hydra._internal.utils.create_config_search_path": "search_path_dir",
    "hydra._internal.utils.get_args_parser": "",
    "hydra.core.config_loader.ConfigLoader": "",
    "hydra.core.config_search_path.ConfigSearchPath": "",
    "hydra.core.config_search_path.SearchPathQuery": "provider path",
    "hydra.core.config_store.ConfigStore": "",
    "hydra.core.global_hydra.GlobalHydra": "",
    "hydra.core.hydra_config.HydraConfig": "",
    "hydra.core.override_parser.overrides_parser.OverridesParser": "functions config_loader",
    "hydra.core.override_parser.types.Override": "type key_or_group value_type _value package input_line config_loader",
    "hydra.core.utils.JobReturn": "overrides cfg hydra_cfg working_dir task_name status _return_value",
    "hydra.core.utils.JobStatus": None,
    "hydra.core.utils.run_job": "task_function config job_dir_key job_subdir_key hydra_context configure_logging",
    "tensorflow.python.framework.convert_to_constants.convert_variables_to_constants_v2": (
        "func lower_control_flow aggressive_inlining"
    ),
    "tensorflow.python.framework.kernels": None,
    "tensorflow.python.framework.op_def_registry": None,
}
"""What is imported, and the arguments it takes; None where it is not called."""

METHODS = {
    "hydra._internal.callbacks.Callbacks.on_run_start": "self config",
    "hydra._internal.callbacks.Callbacks.on_run_end": "self config",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper._parse_config": "self",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper.split_arguments": "overrides max_batch_size",
    "hydra._internal.hydra.Hydra.compose_config": (
        "self config_name overrides run_mode with_log_configuration from_shell validate_sweep_overrides"
    ),
    "hydra._internal.hydra.Hydra.create_main_hydra2": "task_name config_search_path",
    "hydra.core.config_loader.ConfigLoader.get_group_options": "self group_name results_filter config_name overrides",
    "hydra.core.config_search_path.ConfigSearchPath.append": "self provider path anchor",
    "hydra.core.config_search_path.ConfigSearchPath.get_path": "self",
    "hydra.core.config_search_path.ConfigSearchPath.prepend": "self provider path anchor",
    "hydra.core.config_store.ConfigStore.store": "self name node group package provider",
    "hydra.core.global_hydra.GlobalHydra.clear": "self",
    "hydra.core.global_hydra.GlobalHydra.config_loader": "self",
    "hydra.core.hydra_config.HydraConfig.get": "",
    "hydra.core.override_parser.overrides_parser.OverridesParser.create": "config_loader",
    "hydra.core.override_parser.overrides_parser.OverridesParser.parse_overrides": "self overrides",
    "hydra.core.override_parser.types.Override.get_key_element": "self",
    "hydra.core.override_parser.types.Override.get_value_element_as_str": "self space_after_sep",
    "hydra.core.override_parser.types.Override.is_sweep_override": "self",
    "keras.Model._flatten_layers": "self include_self recursive",
    "keras.optimizers.Optimizer._all_reduce_sum_gradients": "self grads_and_vars",
    "keras.optimizers.Optimizer._apply_weight_decay": "self variables",
    "keras.optimizers.Optimizer._backend_apply_gradients": "self grads trainable_variables",
    "keras.optimizers.Optimizer._get_variable_index": "self variable",
    "keras.optimizers.Optimizer._use_weight_decay": "self variable",
    "omegaconf.DictConfig._get_full_key": "self key",
    "omegaconf.DictConfig._get_parent": "self",
    "omegaconf.DictConfig._get_root": "self",
    "omegaconf.DictConfig._set_parent": "self parent",
}
"""Methods that are called, with the arguments they take."""

ATTRIBUTES = {
    "_actions": "argparse: the flags of a parser",
    "_direction": "keras.metrics.Metric: what is better",
    "_exit": "os: documented in spite of its name",
    "_functional": "keras.Sequential: its graph",
    "_inbound_nodes": "keras.Operation: the nodes of the graph where it is used",
    "_iterations": "keras.optimizers.Optimizer: the batches so far, where gradients are accumulated too",
    "_keras_history": "keras.KerasTensor: the operation, node and output that it comes from",
    "_layers": "keras.Layer: the layers inside of it",
    "_nodes_by_depth": "keras.Function: its nodes, by their distance from the outputs",
    "_outbound_nodes": "keras.Operation: the nodes that read what it gives",
    "_return_value": "hydra.core.utils.JobReturn: what a job returned, without raising what it raised",
}
"""Private attributes that are no methods: below is a test of each that Keras and Hydra have."""

KEYS = {"_target_", "_partial_", "_convert_"}
"""Keys of a configuration, which Hydra documents."""


def find(path: str) -> object:
    """The object of a dotted path."""
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(path)


@pytest.mark.parametrize(("path", "arguments"), (IMPORTS | METHODS).items())
def test_what_is_used_is_there_and_takes_what_it_is_given(path, arguments):
    found = find(path)
    if arguments is not None:
        named = [
            name
            for name, parameter in inspect.signature(found).parameters.items()
            if parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        ]
        assert " ".join(named) == arguments


def test_the_graph_of_a_keras_model_can_be_walked():
    inputs = keras.Input((2,))
    first, last = keras.layers.Dense(3), keras.layers.Dense(1)
    model = keras.Model(inputs, last(first(inputs)))
    operation, node_index, tensor_index = model.outputs[0]._keras_history
    assert (operation, node_index, tensor_index) == (last, 0, 0)
    assert last._inbound_nodes[0].input_tensors[0]._keras_history.operation is first
    assert [node.operation for node in first._outbound_nodes] == [last]
    depths = {depth: [node.operation for node in nodes] for depth, nodes in model._nodes_by_depth.items()}
    assert (depths[0], depths[1]) == ([last], [first])
    node = model._nodes_by_depth[0][0]
    assert not node.is_input
    assert node.arguments.fill_in({id(node.input_tensors[0]): 7}) == ((7,), {})


def test_keras_models_tell_their_layers():
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert isinstance(inner._functional, keras.Function)
    model = keras.Sequential([keras.Input((2,)), inner])
    assert inner.layers[0] in model._flatten_layers(include_self=False)
    assert inner in model._layers


def test_keras_metrics_tell_what_is_better():
    assert keras.metrics.AUC()._direction == "up"
    assert keras.metrics.MeanSquaredError()._direction == "down"


def test_a_job_of_hydra_keeps_what_it_raised():
    from hydra.core.utils import JobReturn, JobStatus

    error = RuntimeError("no such file")
    returned = JobReturn(overrides=["seed=0"], working_dir="outputs")
    returned.status, returned.return_value = JobStatus.FAILED, error
    assert returned._return_value is error


def test_nothing_else_that_is_private_is_imported():
    found = {
        f"{node.module}.{alias.name}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if is_private(f"{node.module}.{alias.name}")
    } | {
        alias.name
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import)
        for alias in node.names
        if is_private(alias.name)
    }
    assert found == IMPORTS.keys()


def test_no_other_private_attribute_is_used():
    allowed = {path.rpartition(".")[2] for path in METHODS} | ATTRIBUTES.keys() | KEYS
    used = {name for file in FILES for name in foreign_attributes(ast.parse(file.read_text()))}
    assert used - allowed == set()
    assert ATTRIBUTES.keys() - used == set(), "no longer used"


def is_private(path: str) -> bool:
    """Whether a dotted name lies in what its package does not document; hydra.core is nowhere documented as a whole."""
    parts = path.split(".")
    inside = any(part == "src" or (part.startswith("_") and not part.startswith("__")) for part in parts)
    return parts[0] != "cnnlab" and (inside or path.startswith(("hydra.core.", "tensorflow.python.")))


def foreign_attributes(tree: ast.Module) -> set[str]:
    """The names that begin with one underscore, read from objects, and that the module does not define itself."""
    nodes = list(ast.walk(tree))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    read |= {
        node.args[1].value
        for node in nodes
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("getattr", "hasattr", "setattr")
        and isinstance(node.args[1], ast.Constant)
    }
    return {name for name in read if name.startswith("_") and not name.startswith("__")} - own
