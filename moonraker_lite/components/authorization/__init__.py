"""Who may call the host: trusted addresses, the API key, one-shot tokens, and origins of web pages."""

from __future__ import annotations

from .authorizer import Authorizer
from .component import Authorization
from .settings import AuthorizationSettings

__all__ = ["Authorization", "AuthorizationSettings", "Authorizer"]
