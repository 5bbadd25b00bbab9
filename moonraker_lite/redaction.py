"""Keeping secrets out of logs and answers: which names are secret, and how they look in text.

All patterns are linear in the length of the text, because what is logged comes from outside.
"""

from __future__ import annotations

import re

HIDDEN = "<hidden>"

_WORDS = r"(?:token|api[_-]?key|passw(?:or)?d|passphrase|secret|credentials?|jwt)"
_NAME = rf"(?:[\w.\-]{{0,40}}{_WORDS})"

_SECRET_NAME = re.compile(rf"(?:^|[_\-.\s\w]){_WORDS}$|^private_?key$", re.IGNORECASE)

# ?token=x  &access_token=x  password=x
_PAIR = re.compile(rf"(?P<head>(?:[?&;,\s(\"']|^){_NAME}=)(?![\"'])[^&\s\"'<>;,)]+", re.IGNORECASE)
# "password": "x"  'token': 'x'  token="x"
_QUOTED = re.compile(
    rf"(?P<head>[\"']{_NAME}[\"']\s{{0,8}}[:,]\s{{0,8}}|\b{_NAME}=)(?:\"(?:[^\"\\]|\\[\s\S])*\"?|'(?:[^'\\]|\\[\s\S])*'?)",
    re.IGNORECASE,
)
# password: x
_OPTION = re.compile(rf"(?P<head>(?<![\w\-.\"']){_NAME}[ \t]{{0,8}}:[ \t]{{1,8}})(?![{{\"'\[])[^\s,}}]+", re.IGNORECASE)
# X-Api-Key: x  "X-Api-Key": "x"  ('X-Api-Key', 'x')
_SEPARATOR = r"[\"']?\s{0,8}[:=,]\s{0,8}[\"']?"
_KEY_HEADER = re.compile(rf"(?P<head>\bx-(?:api-key|access-token){_SEPARATOR})[^\s\"',}}\])]+", re.IGNORECASE)
_COOKIE = re.compile(r"(?P<head>\b(?:set-)?cookie[\"']?\s{0,8}[:,]\s{0,8}[\"']?)[^\"'\r\n]+", re.IGNORECASE)
# Authorization: Bearer x. "authorization" is also a component's name, so a bare word after it is taken for a
# credential only when it is as long as one.
_AUTHORIZATION = re.compile(
    rf"(?P<head>\bauthorization{_SEPARATOR})(?:(?:bearer|basic|digest|token)\s{{1,8}}[^\s\"',}}\])]+|[\w.~+/=\-]{{16,}})",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(?P<head>(?:bearer|basic)\s)[\w.~+/\-]{8,}=*", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w\-]{8,}\.[\w\-]{4,}\.[\w\-]{4,}")
# http://user:password@host
_USERINFO = re.compile(r"(?P<head>://)[^/\s@\"'<>]{1,400}@")

_PLAIN_URL_SCHEMES = frozenset(
    {"http", "https", "json", "jsons", "xml", "xmls", "form", "forms", "file", "dbus", "syslog"}
)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name (of an option, a JSON key, a header) must not be shown."""
    return _SECRET_NAME.search(name) is not None


def redact(text: str) -> str:
    """The text with tokens, keys and passwords replaced by `<hidden>`; names and structure stay readable."""
    hidden = rf"\g<head>{HIDDEN}"
    text = _AUTHORIZATION.sub(hidden, text)
    text = _KEY_HEADER.sub(hidden, text)
    text = _COOKIE.sub(hidden, text)
    if "=" in text:
        text = _PAIR.sub(hidden, text)
    if '"' in text or "'" in text:
        text = _QUOTED.sub(rf'\g<head>"{HIDDEN}"', text)
    text = _OPTION.sub(hidden, text)
    text = _BEARER.sub(hidden, text)
    if "eyJ" in text:
        text = _JWT.sub(HIDDEN, text)
    if "://" in text:
        text = _USERINFO.sub(rf"\g<head>{HIDDEN}@", text)
    return text


def redact_option(section: str, option: str, value: str) -> str:
    """A configuration value as it may be shown. A reference to the secrets file (`{secrets.x.y}`) is no secret."""
    if not value.strip() or value.strip().startswith("{"):
        return value
    if is_secret_name(option):
        return HIDDEN
    if section.partition(" ")[0] == "notifier" and option == "url":
        return _hide_service_url(value)
    return redact(value)


def _hide_service_url(value: str) -> str:
    """Notification services have their keys in host and path (`tgram://<token>/<chat>`)."""
    scheme, mark, _ = value.partition("://")
    if not mark or scheme.strip().lower() in _PLAIN_URL_SCHEMES:
        return redact(value)
    return f"{scheme}://{HIDDEN}"
