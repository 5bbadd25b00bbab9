"""A component: one feature of the host, built from what its constructor names.

    class DataStore(Component, section="data_store"):
        def __init__(self, settings: DataStoreSettings, hub: StatusHub, printer: Printer, events: Events) -> None: ...

The registry (`registry.py`) reads the annotations of `__init__`: a msgspec.Struct decoded from the component's section,
a `dict[str, Struct]` for all sections `[<section> <name>]`, a service of the host, or another component. It orders
components by these needs, and the host starts and stops them in that order. Endpoints are declared on methods with
`@endpoint(...)` and are added to the API table when the component has started.
"""

from __future__ import annotations

from typing import ClassVar


class Component:
    """Base class. `name` is what server.info lists; `section` is the name of its config section(s)."""

    name: ClassVar[str]
    section: ClassVar[str]

    def __init_subclass__(cls, *, section: str, name: str | None = None) -> None:
        super().__init_subclass__()
        cls.section = section
        cls.name = name or section

    @property
    def endpoint_owners(self) -> tuple[object, ...]:
        """Parts of this component that declare endpoints too."""
        return ()

    async def start(self) -> None:
        """Begin work. Everything this component needs has started. An exception makes it a failed component."""

    async def stop(self) -> None:
        """End every task, file and process of this component. Called also after a failed start."""
