"""Builds components from what their constructors name, in the order of their needs."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import os
import sys
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from moonraker_lite.component import Component
from moonraker_lite.config import Config, ConfigError

_LOGGER = logging.getLogger(__name__)
ENTRY_POINTS = "moonraker_lite.components"


Wanted = Mapping[type[Component], Mapping[str, Any]]
"""What the constructors of components ask for, by parameter; see `needs`."""


class WiringError(Exception):
    """A component needs something that nobody provides, or two need each other. The message names them."""


class Built(msgspec.Struct):
    """One component after building: `instance` is None when it failed, and `problem` says why."""

    kind: type[Component]
    instance: Component | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        return self.kind.name


def load(names: Iterable[str]) -> list[type[Component]]:
    """Import components named "module:class".

    Raises:
        ImportError, AttributeError: one cannot be imported.
    """
    kinds = []
    for name in names:
        module, _, attribute = name.partition(":")
        kinds.append(getattr(importlib.import_module(module), attribute))
    return kinds


def load_third_party() -> list[type[Component]]:
    """Import the components of the entry-point group; one that fails is logged and left out."""
    if not _is_declared(ENTRY_POINTS):
        return []
    from importlib.metadata import entry_points

    kinds: list[type[Component]] = []
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            kind = entry.load()
        except Exception:  # boundary: foreign code must not keep the host from starting
            _LOGGER.exception("component %s cannot be imported", entry.name)
            continue
        if isinstance(kind, type) and issubclass(kind, Component):
            kinds.append(kind)
        else:
            _LOGGER.error("%s is not a component", entry.value)
    return kinds


def _is_declared(group: str) -> bool:
    """Whether an installed distribution may have entry points of this group.

    importlib.metadata would tell exactly, but importing it is a twentieth of the whole start.
    """
    for folder in filter(os.path.isdir, sys.path):
        for name in os.listdir(folder):
            if name.endswith(("dist-info", "egg-info")):
                with contextlib.suppress(OSError), open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:
                    if group.encode() in file.read():
                        return True
    return False


def needs(kind: type[Component]) -> dict[str, Any]:
    """The annotations of a component's constructor by parameter name.

    Raises:
        WiringError: a parameter has no annotation, or one that cannot be resolved.
    """
    constructor = kind.__init__
    try:
        hints = typing.get_type_hints(constructor)
    except NameError as error:
        raise WiringError(f"{kind.__name__}: {error}; annotations must be importable at run time") from None
    names = list(inspect.signature(constructor).parameters)[1:] if constructor is not object.__init__ else []
    missing = [name for name in names if name not in hints and name not in ("args", "kwargs")]
    if missing:
        raise WiringError(f"{kind.__name__}: parameter {missing[0]} has no annotation")
    return {name: hints[name] for name in names if name in hints}


def in_order(wanted: Wanted) -> tuple[list[type[Component]], dict[type[Component], str]]:
    """Sort components so that each comes after those it needs.

    Also returns what is wrong with those that cannot be made: they need what is not there, or each other in a circle.
    """
    known = {kind: [need for need in given.values() if _is_component(need)] for kind, given in wanted.items()}
    problems: dict[type[Component], str] = {}
    ordered: list[type[Component]] = []
    path: list[type[Component]] = []

    def visit(kind: type[Component]) -> None:
        if kind in ordered:
            return
        if kind in path:
            circle = path[path.index(kind) :]
            names = " -> ".join(k.__name__ for k in [*circle, kind])
            problems.update(dict.fromkeys(circle, f"Components need each other: {names}"))
            return
        path.append(kind)
        for need in known[kind]:
            if need in known:
                visit(need)
            else:
                problems[kind] = f"{kind.__name__} needs {need.__name__}, which is not registered"
        path.pop()
        ordered.append(kind)

    for kind in known:
        visit(kind)
    return ordered, problems


def _is_component(need: Any) -> bool:
    return isinstance(need, type) and issubclass(need, Component)


class Registry:
    """Makes the components' instances. A component that fails is kept with its problem; the others go on without it."""

    def __init__(self, services: Mapping[type, object], config: Config) -> None:
        self._services = services
        self._config = config
        self._wanted: dict[type[Component], dict[str, Any]] = {}
        self.built: list[Built] = []

    def build(self, kinds: Iterable[type[Component]]) -> None:
        """Make all instances, in order."""
        problems: dict[type[Component], str] = {}
        for kind in kinds:
            self._wanted[kind] = {}
            try:
                self._wanted[kind] = needs(kind)
            except WiringError as error:
                problems[kind] = str(error)
        ordered, unfit = in_order(self._wanted)
        problems |= unfit
        for kind in ordered:
            self._config.known_sections([kind.section])
            built = Built(kind, problem=problems.get(kind))
            self.built.append(built)
            if built.problem is not None:
                continue
            try:
                built.instance = kind(**self._arguments(kind))
            except WiringError as error:
                built.problem = str(error)
            except ConfigError as error:
                built.problem = f"Component '{kind.name}' is off: {error}"
            except Exception:  # boundary: one component's fault must not keep the others from starting
                _LOGGER.exception("component %s cannot be made", kind.name)
                built.problem = f"Component '{kind.name}' failed to load; the log has the cause"

    def get(self, kind: type[Component]) -> Built | None:
        """The built component of this class."""
        return next((built for built in self.built if built.kind is kind), None)

    def _arguments(self, kind: type[Component]) -> dict[str, Any]:
        return {name: self._provide(kind, need) for name, need in self._wanted[kind].items()}

    def _provide(self, kind: type[Component], need: Any) -> Any:
        if need in self._services:
            return self._services[need]
        if _is_component(need):
            other = self.get(need)
            if other is None or other.instance is None:
                raise WiringError(f"Component '{kind.name}' is off: it needs '{need.name}', which failed")
            return other.instance
        if isinstance(need, type) and issubclass(need, msgspec.Struct):
            return self._config.decode_valid(kind.section, need)
        if typing.get_origin(need) is dict:
            struct = typing.get_args(need)[1]
            return {name: self._config.decode_valid(name, struct) for name in self._config.sections(kind.section)}
        raise WiringError(f"{kind.__name__} needs {need!r}, which nobody provides")
