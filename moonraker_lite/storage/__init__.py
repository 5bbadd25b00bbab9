"""SQLite: one database file, one writer thread, forward-only migrations, and the stores that live in it."""

from __future__ import annotations

from moonraker_lite.storage.database import Database
from moonraker_lite.storage.documents import Key
from moonraker_lite.storage.errors import SchemaTooNew, StorageError
from moonraker_lite.storage.metadata import MetadataRow, MetadataStore
from moonraker_lite.storage.namespaces import PRIVATE, Namespaces

__all__ = ["PRIVATE", "Database", "Key", "MetadataRow", "MetadataStore", "Namespaces", "SchemaTooNew", "StorageError"]
