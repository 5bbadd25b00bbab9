"""Building components from what their constructors name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from moonraker_lite.component import Component
from moonraker_lite.config import Config, load_config
from moonraker_lite.events import Events
from moonraker_lite.registry import Registry, in_order, needs


class ASettings(msgspec.Struct, frozen=True):
    size: int = 3


class A(Component, section="a"):
    def __init__(self, settings: ASettings, events: Events) -> None:
        self.settings = settings
        self.events = events


class BSettings(msgspec.Struct, frozen=True):
    color: str = "red"


class B(Component, section="b"):
    def __init__(self, a: A, settings: dict[str, BSettings]) -> None:
        self.a = a
        self.settings = settings


class Broken(Component, section="broken"):
    def __init__(self) -> None:
        raise RuntimeError("no")


class NeedsBroken(Component, section="needs_broken"):
    def __init__(self, broken: Broken) -> None: ...


class Loop1(Component, section="l1"):
    def __init__(self, other: Loop2) -> None: ...


class Loop2(Component, section="l2"):
    def __init__(self, other: Loop1) -> None: ...


class Nobody(Component, section="nobody"):
    def __init__(self, path: Path) -> None: ...


class Alone(Component, section="alone"): ...


class Bare(Component, section="bare"):
    def __init__(self, thing) -> None:  # type: ignore[no-untyped-def]
        ...


def make(tmp_path: Path, text: str, *kinds: type[Component]) -> Registry:
    path = tmp_path / "moonraker.conf"
    path.write_text(text)
    config = load_config(path)
    registry = Registry({Events: Events(), Config: config}, config)
    registry.build(kinds)
    return registry


def test_settings_services_and_components_are_given(tmp_path: Path) -> None:
    registry = make(tmp_path, "[a]\nsize: 7\n[b one]\n[b two]\ncolor: blue\n", B, A)
    a, b = (built.instance for built in registry.built)
    assert isinstance(a, A)
    assert isinstance(b, B)
    assert a.settings.size == 7
    assert b.a is a
    assert {name: settings.color for name, settings in b.settings.items()} == {"b one": "red", "b two": "blue"}


def test_order_follows_needs() -> None:
    assert in_order({B: needs(B), A: needs(A)}) == ([A, B], {})


@pytest.mark.parametrize(
    ("kinds", "failed", "problem"),
    [
        ([Loop1, Loop2], [Loop2, Loop1], "Components need each other: Loop1 -> Loop2 -> Loop1"),
        ([B], [B], "B needs A, which is not registered"),
        ([Bare], [Bare], "Bare: parameter thing has no annotation"),
    ],
)
def test_components_that_do_not_fit_together_leave_the_others_alone(
    tmp_path: Path, kinds: list[type[Component]], failed: list[type[Component]], problem: str
) -> None:
    registry = make(tmp_path, "", *kinds, Alone)
    assert [(built.kind, built.problem) for built in registry.built[:-1]] == [(kind, problem) for kind in failed]
    assert isinstance(registry.built[-1].instance, Alone)


def test_what_nobody_provides_fails_only_that_component(tmp_path: Path) -> None:
    registry = make(tmp_path, "", Nobody, A)
    assert [built.instance is None for built in registry.built] == [True, False]
    assert "Path" in str(registry.built[0].problem)


def test_broken_component_takes_only_its_dependants_with_it(tmp_path: Path) -> None:
    registry = make(tmp_path, "", NeedsBroken, Broken, A)
    problems = {built.name: built.problem for built in registry.built}
    assert problems["a"] is None
    assert "broken" in str(problems["broken"])
    assert "needs 'broken'" in str(problems["needs_broken"])


def test_invalid_option_leaves_the_default_and_a_warning(tmp_path: Path) -> None:
    registry = make(tmp_path, "[a]\nsize: many\n", A)
    instance = registry.built[0].instance
    assert isinstance(instance, A)
    assert instance.settings.size == 3
    assert any("size" in warning and "line 2" in warning for warning in registry._config.warnings())
