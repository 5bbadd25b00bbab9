"""Jinja2 in option values, in Moonraker's spelling: `{ expression }`, `{% statement %}`, the `do` statement.

Templates stand in files that clients may edit through the API, so they run in Jinja2's sandbox: they reach nothing but
what is handed to them. Jinja2 is imported by the first template only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from moonraker_lite.config.secrets import MissingSecret

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

MAX_TEXT = 1 << 20
"""Characters (or elements) that one operation of a template may produce."""


class TemplateError(Exception):
    """The template is wrong or asks for something that is not there; the text says what."""


def is_template(text: str) -> bool:
    """Whether there is anything to render."""
    return "{" in text


class Templates:
    """Renders templates; `context` (such as `secrets`) is known to all of them."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._context = dict(context)
        self._environment: SandboxedEnvironment | None = None

    def render(self, text: str, **variables: Any) -> str:
        """The rendered text, without surrounding white space. A text without `{` is returned as it is.

        Raises:
            TemplateError: wrong syntax, a name that is missing, or something that the sandbox forbids.
        """
        if not is_template(text):
            return text
        from jinja2 import TemplateError as JinjaError

        if self._environment is None:
            self._environment = _sandbox()
        try:
            result = self._environment.from_string(text).render({**self._context, **variables})
        except MissingSecret as error:
            raise TemplateError(str(error)) from None
        except JinjaError as error:
            raise TemplateError(f"the template fails: {error.message}") from None
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            # What an expression of the user can raise; its text may quote a secret.
            raise TemplateError(f"the template fails: {type(error).__name__}") from None
        if len(result) > MAX_TEXT:
            raise TemplateError(f"the template makes more than {MAX_TEXT >> 20} MiB of text")
        return result.strip()


def _sandbox() -> SandboxedEnvironment:
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import SandboxedEnvironment

    class Sandbox(SandboxedEnvironment):
        """Jinja2's sandbox, which also refuses to multiply texts and to raise to huge powers."""

        intercepted_binops = frozenset({"*", "**"})

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            # Moonraker's manual shows `{% do payload.__setitem__("key", value) %}` for building JSON.
            if attr in ("__setitem__", "__getitem__") and type(obj) in (dict, list):
                return True
            return super().is_safe_attribute(obj, attr, value)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" and (abs(left) > 1_000_000 or abs(right) > 64):
                raise SecurityError("this power is too large")
            if operator == "*" and _product_size(left, right) > MAX_TEXT:
                raise SecurityError("this product is too large")
            return super().call_binop(context, operator, left, right)

    environment = Sandbox(
        block_start_string="{%",
        block_end_string="%}",
        variable_start_string="{",
        variable_end_string="}",
        trim_blocks=True,
        lstrip_blocks=False,
        autoescape=False,  # the result is a configuration value, not HTML
        extensions=["jinja2.ext.do"],
        cache_size=0,
    )
    environment.filters["fromjson"] = json.loads
    return environment


def _product_size(left: Any, right: Any) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return 0
    size = 1
    for factor in (left, right):
        if isinstance(factor, str | bytes | list | tuple):
            size *= len(factor)
        elif isinstance(factor, int):
            size *= max(factor, 0)
    return size
