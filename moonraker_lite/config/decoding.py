"""One section's raw options as constructor arguments of a Struct."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect as shapes

from moonraker_lite.config.reader import Option
from moonraker_lite.config.templates import TemplateError, is_template
from moonraker_lite.config.values import NOT_GIVEN, InvalidValue, convert, expected, wants_template
from moonraker_lite.redaction import is_secret_name


class Decoding(NamedTuple):
    """`values` by attribute name, `names` of all options the Struct knows, `problems` as (option, message).

    `templates` holds the unrendered text of the options that were rendered. `missing`: a required option has no valid
    value, so the Struct cannot be made.
    """

    values: dict[str, Any]
    names: set[str]
    problems: list[tuple[str, str]]
    templates: dict[str, str]
    missing: bool


def decode_fields(type_: type[msgspec.Struct], options: Mapping[str, Option], render: Callable[[str], str]) -> Decoding:
    """Convert every option that the Struct has a field for; an invalid one leaves its field at the default."""
    shape = shapes.type_info(type_)
    if not isinstance(shape, shapes.StructType):
        raise TypeError(f"{type_!r} is no msgspec.Struct")
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    templates: dict[str, str] = {}
    missing = False
    for field in shape.fields:
        name = field.encode_name
        text = options[name].value if name in options else None
        if text is not None:
            if is_template(text) and wants_template(field.type):
                templates[name] = text.strip()
            try:
                value = convert(render(text) if name in templates else text, field.type)
                if value is not NOT_GIVEN:
                    values[field.name] = value
            except TemplateError as error:
                problems[name] = str(error)
            except InvalidValue as error:
                secret = name in templates or is_secret_name(name)
                problems[name] = f"the value is not {expected(field.type)}" if secret else str(error)
        if field.required and field.name not in values:
            missing = True
            problems.setdefault(name, "the option is required here and missing")
    names = {field.encode_name for field in shape.fields}
    return Decoding(values, names, list(problems.items()), templates, missing)
