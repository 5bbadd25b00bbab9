"""Jinja2 for macros, in Klipper's spelling (`{ expression }`, `{% statement %}`) and with bounds on what it may cost.

A macro stands in a file that clients may edit, so it runs in Jinja2's sandbox; and it runs beside a print, so it is
stopped when it loops for long or makes huge values. Importing this imports Jinja2: only where there is a template.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_TEXT = 128 * 1024
"""Characters, or elements of a list, that one operation may make; also the bytes of a rendered script."""
MAX_STEPS = 200_000
"""Rounds of loops and calls of template macros in one rendering."""
MAX_SECONDS = 2.0
BREATH = 0.004
"""Seconds of work after which a rendering lets others go on."""
MAX_DIGITS = 4096  # bits of a whole number
MAX_ARGUMENT = 100_000  # of a filter or a method: widths, counts, precisions
_SHORT_ARGUMENT = 1000

_NUMBER = re.compile(r"\d+")
_STARRED = re.compile(r"%[^a-zA-Z%]*\*")
_NESTED = re.compile(r"\{[^{}]*\{")
# Methods by which a macro changes lists and dicts of its own. All that it is given are copies.
_OWN_CHANGES: dict[type, frozenset[str]] = {
    list: frozenset({"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"}),
    dict: frozenset({"clear", "pop", "setdefault", "update"}),
}
# They take numbers of rounds or sizes, or search without bound.
_LEFT_OUT = frozenset({"urlize", "xmlattr"})


class TooExpensive(SecurityError):
    """The template wants more than a macro may have."""


class RenderError(Exception):
    """The template is wrong, or failed; the text says how, in the form `jinja2.exceptions.UndefinedError: ...`."""


class _Budget(threading.local):
    """What the rendering in this thread may still cost."""

    def __init__(self) -> None:
        self.steps = 0
        self.deadline = 0.0
        self.breath = 0.0


class Template:
    """One compiled template. `render` may be called in any thread."""

    def __init__(self, environment: MacroEnvironment, source: str) -> None:
        """Raise RenderError for wrong syntax."""
        self._environment = environment
        try:
            self._template = environment.from_string(source)
        except (TemplateError, RecursionError, ValueError, OverflowError, SyntaxError, MemoryError) as error:
            line = f" (line {error.lineno} of the text)" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise RenderError(f"{_name(error)}: {_text(error)}{line}") from None

    def render(self, context: Mapping[str, Any], passed_on: tuple[type[Exception], ...] = ()) -> str:
        """Raise RenderError for whatever goes wrong, or one of the errors of functions in `context`."""
        self._environment.begin()
        try:
            parts: list[str] = []
            size = 0
            for part in self._template.generate(context):
                parts.append(part)
                size += len(part)
                if size > MAX_TEXT:
                    raise TooExpensive(f"the macro makes more than {MAX_TEXT >> 10} KiB of commands")
            return "".join(parts)
        except passed_on:
            raise
        except Exception as error:  # noqa: BLE001  boundary: the template is the user's program, and may fail in any way
            raise RenderError(f"{_name(error)}: {_text(error)}") from None


class MacroEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox with a budget. What a template is given must be copies: lists and dicts may be changed."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(
            block_start_string="{%",
            block_end_string="%}",
            variable_start_string="{",
            variable_end_string="}",
            autoescape=False,  # commands, no HTML
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
            cache_size=0,
        )
        self._budget = _Budget()
        self.globals.pop("lipsum", None)
        self.filters = {name: _bounded(made) for name, made in self.filters.items() if name not in _LEFT_OUT}

    def begin(self) -> None:
        """A rendering begins in this thread."""
        now = time.monotonic()
        self._budget.steps = MAX_STEPS
        self._budget.deadline = now + MAX_SECONDS
        self._budget.breath = now + BREATH

    def tick(self) -> str:
        """Called by every round of a loop and every call of a template macro."""
        budget = self._budget
        budget.steps -= 1
        if budget.steps < 0:
            raise TooExpensive(f"the macro makes more than {MAX_STEPS} rounds of loops")
        now = time.monotonic()
        if now > budget.deadline:
            raise TooExpensive(f"the macro has been at work for {MAX_SECONDS:g} s")
        if now > budget.breath:
            # Python would let the thread that feeds the printer wait for 5 ms each time it has something to do.
            time.sleep(BREATH / 4)
            budget.breath = time.monotonic() + BREATH
        return ""

    def join_texts(self, *items: Any) -> str:
        """`a ~ b ~ c`."""
        texts = [str(item) for item in items]
        if sum(map(len, texts)) > MAX_TEXT:
            raise TooExpensive("a text becomes too long")
        return "".join(texts)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
            assert isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock)
            node.body.insert(0, nodes.ExprStmt(_call("tick", []), lineno=node.lineno))
        _Concatenations().visit(tree)
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if attr in _OWN_CHANGES.get(type(obj), ()):
            return True
        return super().is_safe_attribute(obj, attr, value)

    def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        # The sandbox wraps `str.format`.
        owner = getattr(getattr(obj, "__wrapped__", obj), "__self__", None)
        if isinstance(owner, str | list | dict):
            _check_arguments(getattr(obj, "__name__", ""), owner, args, kwargs)
        return _checked(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            _check_format(left)
        return _checked(super().call_binop(context, operator, left, right))


class _Concatenations(jinja2.visitor.NodeTransformer):
    """Replaces `a ~ b` by a call that looks at the length."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        return _call("join_texts", [self.visit(part) for part in node.nodes])


def _call(method: str, arguments: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(method), arguments, [], None, None, lineno=1)


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter: bounded arguments and a bounded result. Marks such as `pass_context` are kept."""
    name = getattr(function, "__name__", "").removeprefix("do_").removeprefix("sync_do_")
    skipped = 1 if getattr(function, "jinja_pass_arg", None) is not None else 0

    @functools.wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        if len(args) > skipped:
            _check_arguments(name, args[skipped], args[skipped + 1 :], kwargs)
        return _checked(function(*args, **kwargs))

    return bounded


def _check_arguments(name: str, subject: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse what would make a huge text out of small ones."""
    given = [*args, *kwargs.values()]
    if name in ("format", "format_map"):
        _check_format(subject)
        if _NESTED.search(str(subject)) and any(_is_large(value, _SHORT_ARGUMENT) for value in given):
            raise TooExpensive("this width is too large")
    elif name == "replace" and len(given) > 1:
        if len(str(subject)) * len(str(given[1])) > MAX_TEXT * 8:
            raise TooExpensive("a text becomes too long")
    elif name == "join":
        _check_joined(subject, given)
    elif name not in ("default", "int", "float", "d") and any(_is_large(value, MAX_ARGUMENT) for value in given):
        raise TooExpensive(f"an argument of {name} is too large")


def _is_large(value: Any, limit: int) -> bool:
    return isinstance(value, int) and abs(value) > limit


def _check_joined(subject: Any, given: list[Any]) -> None:
    """`separator.join(items)`, or the filter `items|join(separator)`."""
    separator, items = (subject, given[0]) if isinstance(subject, str) and given else (given[0] if given else "", ())
    if not isinstance(subject, str):
        items = subject
    if isinstance(items, list | tuple | str) and len(str(separator)) * len(items) > MAX_TEXT:
        raise TooExpensive("a text becomes too long")


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_DIGITS:
            raise TooExpensive("a number becomes too large")
        return
    for text, count in ((left, right), (right, left)):
        if isinstance(text, str | list | tuple) and isinstance(count, int) and len(text) * count > MAX_TEXT:
            raise TooExpensive("a product becomes too long")


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_DIGITS:
        raise TooExpensive("a number becomes too large")


def _check_format(text: Any) -> None:
    text = str(text)
    if _STARRED.search(text) or sum(int(part[:9]) for part in _NUMBER.findall(text)) > MAX_TEXT:
        raise TooExpensive("this width is too large")


def _checked(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict) and len(value) > MAX_TEXT:
        raise TooExpensive("a value becomes too long")
    return value


def _name(error: BaseException) -> str:
    """As Python's traceback names an error: with its module, unless it is built in."""
    kind = type(error)
    if isinstance(error, TooExpensive):
        return "jinja2.exceptions.SecurityError"
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)[:500] or "no details"
    except Exception:  # noqa: BLE001  boundary: an error made of the template's own values
        return "no details"
