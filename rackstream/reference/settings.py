"""Every setting there is, found in the settings classes: variable, default, what it means. Pure."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import itertools
import pkgutil
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from runtime.settings import SECRETS_DIR, Settings

PACKAGES: Final = ("runtime", "producers", "processors", "sinks", "rackstream")
HEAD: Final = """\
# Settings

Made by `python -m rackstream.reference` from the settings classes; `make check` says when it is stale.

A setting is a variable of the environment; else a line of `.env` in the working directory; else, where
`{secrets}` names a directory, a file in it that is called as the variable. What is missing or wrong is
named all at once. Secrets are masked wherever settings are shown."""


class Setting(NamedTuple):
    """One variable."""

    name: str
    default: str
    values: str
    doc: str


def text() -> str:
    """The page."""
    parts = [HEAD.format(secrets=SECRETS_DIR)]
    for kind, settings in classes():
        parts.append(f"\n\n## {(kind.__doc__ or '').splitlines()[0].rstrip('.')}\n")
        parts.append("| variable | default | values | what |\n|---|---|---|---|")
        parts += [
            f"| `{setting.name}` | {setting.default} | {setting.values} | {setting.doc} |" for setting in settings
        ]
    return "\n".join(parts) + "\n"


def classes() -> Iterator[tuple[type[Settings], list[Setting]]]:
    """Each settings class with the settings that are its own, the shared ones first."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__") and _defines_settings(module.name):
                importlib.import_module(module.name)
    for kind in sorted(
        dict.fromkeys(_subclasses(Settings)),
        key=lambda each: (PACKAGES.index(each.__module__.split(".")[0]), each.__name__),
    ):
        if own := [_setting(kind, name) for name in vars(kind).get("__annotations__", {}) if name in kind.model_fields]:
            yield kind, own


def _defines_settings(module: str) -> bool:
    """Whether its text has a class of settings: importing all modules would need all edges' packages, and Faust."""
    spec = importlib.util.find_spec(module)
    return bool(spec and spec.origin and "Settings)" in Path(spec.origin).read_text(encoding="utf-8"))


def _subclasses(kind: type[Settings]) -> Iterator[type[Settings]]:
    for each in kind.__subclasses__():
        if each.__module__.split(".")[0] in PACKAGES:
            yield each
        yield from _subclasses(each)


def _setting(kind: type[Settings], name: str) -> Setting:
    field = kind.model_fields[name]
    doc = " ".join(_docs(kind).get(name, "").replace("|", "\\|").split())
    return Setting(str(field.validation_alias), _default(field), _values(field), doc)


def _docs(kind: type[Settings]) -> dict[str, str]:
    """Field → the text under it."""
    [body] = [each.body for each in ast.parse(inspect.getsource(kind)).body if isinstance(each, ast.ClassDef)]
    return {
        first.target.id: second.value.value
        for first, second in itertools.pairwise(body)
        if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name)
        if isinstance(second, ast.Expr)
        and isinstance(second.value, ast.Constant)
        and isinstance(second.value.value, str)
    }


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    return "–" if field.default is None or field.default == "" else f"`{field.default}`"


def _values(field: FieldInfo) -> str:
    bounds = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
    limits = [
        f"{bounds[type(each)]} {getattr(each, type(each).__name__.lower())}"
        for each in field.metadata
        if type(each) in bounds
    ]
    return " ".join([_type(field.annotation), ", ".join(limits)]).strip()


def _type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(kind))
    if (
        isinstance(kind, types.UnionType)
        or get_origin(kind) is types.UnionType
        or str(get_origin(kind)) == "typing.Union"
    ):
        return _either(get_args(kind))
    words = {
        bool: "`true`, `false`",
        int: "whole number",
        float: "number",
        SecretStr: "secret",
        Path: "path",
        str: "text",
    }
    return words.get(kind, "text")


def _either(kinds: Iterable[Any]) -> str:
    return ", ".join(_type(kind) for kind in kinds if kind is not types.NoneType)
