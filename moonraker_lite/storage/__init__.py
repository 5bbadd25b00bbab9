"""SQLite: one database file, one writer thread, forward-only migrations, and the stores that live in it."""

from __future__ import annotations

from .database import Database
from .documents import Key
from .errors import SchemaTooNew, StorageError
from .metadata import MetadataRow, MetadataStore
from .namespaces import PRIVATE, Namespaces

__all__ = ["PRIVATE", "Database", "Key", "MetadataRow", "MetadataStore", "Namespaces", "SchemaTooNew", "StorageError"]
