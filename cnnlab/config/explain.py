"""Hydra's and OmegaConf's errors, retold in one line that names the key, the value and a hint."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from cnnlab.config.extras import OPTIONS, explain_missing
from cnnlab.config.flat import plain
from cnnlab.config.keras_source import keras_names
from cnnlab.config.nearest import did_you_mean
from cnnlab.config.options import option_names, read_option
from cnnlab.config.overrides import override_key
from cnnlab.config.schema import GROUPS, METHODS

GROUP_NAMES = (*GROUPS, *METHODS, "experiment")


def explain(error: Exception, arguments: Sequence[str]) -> str:
    """One line about an error in composing a configuration.

    Args:
        error: what Hydra, OmegaConf or PyYAML raised.
        arguments: the command line that led to it.
    """
    cause = error.__cause__
    match error:
        case MissingConfigException(options=options, missing_cfg_file=str(path)) if "/" in path:
            return _unknown_option(path, options or option_names(path.rpartition("/")[0]))
        case OverrideParseException(override=override):
            return _unreadable(override, str(error))
        case yaml.MarkedYAMLError(problem_mark=mark, problem=problem) if mark:
            return f"{mark.name}:{mark.line + 1}: {problem}"
        case UnicodeDecodeError(object=content, start=start):
            line = content[content.rfind(b"\n", 0, start) + 1 :].partition(b"\n")[0]
            return f"a YAML file is not in UTF-8, where it says {line.decode('latin-1').strip()}; save it as UTF-8"
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        if isinstance(cause.parent_node, DictConfig):
            return _unknown_key(cause, arguments)
        return f"{_as_given(str(cause.full_key), arguments)}: {str(cause.full_key).rpartition('.')[0]} has no keys"
    if needed := re.search(r"Missing mandatory value: ([\w.]+)", str(error)):
        return f"{needed[1]}: has no value; give {needed[1]}=…"
    return _retold(error, arguments)


def chosen_in_defaults(group: str, option: str) -> str:
    """How a file chooses the option of a group, which is no value that it could be set to."""
    return f"is no mapping of keys; a file chooses an option in its defaults list, as - override /{group}: {option}"


def decoding_hint(config: DictConfig, key: str) -> str:
    """How to make a number of the text that `${oc.env:LR}` or "0.1" in quotes gives; empty where there is no such."""
    owner, _, name = key.rpartition(".")
    node = OmegaConf.select(config, owner) if owner else config
    if not (isinstance(node, DictConfig) and name in node and OmegaConf.is_interpolation(node, name)):
        value = OmegaConf.select(config, key)
        quoted = isinstance(value, str) and re.fullmatch(r"[-+\d.]+(e[-+]?\d+)?|true|false|null", value, re.IGNORECASE)
        return f"; '{value}' in quotes is text: leave them out" if quoted else ""
    interpolation = plain(node)[name]
    return f"; {interpolation} is text; decode it: {_quoted(key, f'${{oc.decode:{interpolation}}}')}"


def _quoted(key: str, value: str) -> str:
    """An override with its value quoted for Hydra, and all of it for the shell, which leaves a $ in '…' alone."""
    return f"'{key}=\"{value}\"'" if "$" in value else f"\"{key}='{value}'\""


def _unknown_option(path: str, options: Sequence[str]) -> str:
    group, _, option = path.rpartition("/")
    missing = explain_missing(group, option)
    if missing is not None:
        return missing
    options = [name for name in options if name != "run"]
    listed = f"options: {', '.join(options)}" if options else f"{group} has no options yet"
    similar = did_you_mean(option, [*options, *OPTIONS.get(group, ())])
    return f"{group}={option}: no such option{similar or _of_keras(group, option)}; {listed}"


def _of_keras(group: str, option: str) -> str:
    """How to name a class of Keras that has no option of its own."""
    if group not in ("loss", "metric"):
        return ""
    wanted = option.replace("_", "").lower()
    classes = [name for name in keras_names(f"keras.{'losses' if group == 'loss' else 'metrics'}") if name[0].isupper()]
    found = next((name for name in classes if name.lower() == wanted), None)
    key = "loss.loss" if group == "loss" else "metric.keras.metric"
    return f"; Keras's is {group}=keras {key}={found}" if found else ""


def _unreadable(override: str, message: str) -> str:
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: expected key=value"
    reason = message.splitlines()[0]
    return f"{override}: cannot be read ({reason}); quote the value: {_quoted(key, value)}"


def _unknown_key(error: OmegaConfBaseException, arguments: Sequence[str]) -> str:
    node = error.parent_node
    where = node._get_full_key("")
    name = str(error.full_key).removeprefix(f"{where}." if where else "")
    if not where and name in METHODS:
        chosen = f"is of a method, which cnnlab visualize {name}=NAME chooses, one of"
        return f"{_as_given(str(error.full_key), arguments)}: {chosen} {', '.join(option_names(name))}"
    known = [str(key) for key in node if key != "hydra"]
    groups = () if where else (group for group in (*GROUPS, "experiment") if group not in (*known, name))
    candidates = [*known, *groups]
    hint = did_you_mean(name, candidates if where else [*candidates, *METHODS])
    if not hint:
        namesakes = [key for key in _all_keys(plain(node._get_root())) if key.rpartition(".")[2] == name]
        listed = (
            f"; the keys are {', '.join(candidates)}" if candidates else "; it is empty: a + before the key adds it"
        )
        others = "" if namesakes else _options_with(where, name)
        hint = f"; did you mean {namesakes[0]}?" if namesakes else others or listed
    place = f" in {where}" if where else ""
    return f"{_as_given(str(error.full_key), arguments)}: no such key{place}{hint}"


def _options_with(group: str, key: str) -> str:
    """Which options of a group have a key that the chosen one lacks; empty where none has."""
    found = []
    for option in option_names(group) if group in GROUP_NAMES else ():
        if any(own.name == key for own in read_option(option, group).keys):
            found.append(f"{group}={option}")
    return f"; {' or '.join(found)} {'have' if len(found) > 1 else 'has'} it" if found else ""


def _all_keys(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if key == "hydra" and not prefix:
            continue
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _all_keys(value, f"{prefix}{key}.")


def _as_given(key: str, arguments: Sequence[str]) -> str:
    """The argument that sets `key` or something below it, or just the key where a file does."""
    for argument in reversed(arguments):
        given = override_key(argument)
        if given == key or given.startswith(f"{key}."):
            return argument
    return key


def _retold(error: Exception, arguments: Sequence[str]) -> str:
    message = str(error)
    if found := re.match(r"Ambiguous value for argument '([^=]*)=(.*)'$", message, re.MULTILINE):
        key, value = found.groups()
        return f"{key}={value}: several values need -m, one job each; a list is written {key}=[{value}]"
    if found := re.match(r"Sweep parameters '(.*)' require", message):
        return f"{found[1]}: several values need -m, one job each"
    if found := re.search(r"An item is already at '(.*)'", message):
        return f"{_as_given(found[1], arguments)}: the key exists already; leave out the +"
    if found := re.match(r"Multiple values for (\S+)\.|(\S+) appears more than once", message):
        group = found[1] or found[2]
        return f"{_as_given(group, arguments)}: the group has an option already; leave out the +"
    if found := re.match(r"Could not override '(.*)'\. No match in the defaults list", message):
        return f"{_as_given(found[1], arguments)}: this command has no group {found[1]}"
    if found := re.match(r"Error merging override (.*)$", message):
        return f"{found[1]}: {str(error.__cause__).splitlines()[0]}"
    if found := re.search(r"node `(\w+)` is not a container", message):
        return f"{found[1]}: {chosen_in_defaults(found[1], 'NAME')}"
    if found := re.match(
        r"In '([^']+)': .*\s*Cannot merge (?:DictConfig with ListConfig|ListConfig with DictConfig)", message
    ):
        return f"{found[1]}.yaml: a list {chosen_in_defaults('GROUP', '[NAME,NAME]')}"
    if "Config group override must be" in message or isinstance(error, TypeError):
        wrong = [argument for argument in arguments if re.split("[@=]", argument.lstrip("+"))[0] in GROUP_NAMES]
        return f"{' '.join(wrong)}: an option of a group is a name"
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{_as_given(str(error.full_key), arguments)}: {message.splitlines()[0]}"
    lines = [line.strip() for part in (error, error.__cause__) if part is not None for line in str(part).splitlines()]
    said = [line for line in lines if line and not line.startswith(("object_type=", "reference_type=", "See http"))]
    return "; ".join(dict.fromkeys(said))
