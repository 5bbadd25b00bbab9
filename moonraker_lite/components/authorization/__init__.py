"""Who may call the host: trusted addresses, the API key, one-shot tokens, and origins of web pages."""

from __future__ import annotations

from moonraker_lite.components.authorization.authorizer import Authorizer
from moonraker_lite.components.authorization.component import Authorization
from moonraker_lite.components.authorization.settings import AuthorizationSettings

__all__ = ["Authorization", "AuthorizationSettings", "Authorizer"]
