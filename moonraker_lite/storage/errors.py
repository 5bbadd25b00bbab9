"""What can go wrong in the storage, apart from what a client did."""

from __future__ import annotations

from moonraker_lite.errors import InternalError


class StorageError(InternalError):
    """The database cannot be used: not open, closed, overloaded, or the disk refuses."""


class SchemaTooNew(StorageError):
    """The file was written by a newer version; it is left as it is."""
