"""No secret in a log line or an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.redaction import is_secret_name, redact, redact_option

S = "s3cr3t-Value_0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"GET /server/files/gcodes/a.gcode?token={S}&x=1",
        f"GET /websocket?x=1&access_token={S}",
        f"GET /api/version?apikey={S}",
        f"GET /api/version?api_key={S}",
        f"GET /api/version?api-key={S} HTTP/1.1",
        f"Authorization: Bearer {S}",
        f"authorization: {S}",
        f"'Authorization': 'Basic {S}'",
        f"('Authorization', 'Bearer {S}')",
        f"X-Api-Key: {S}",
        f'"X-Api-Key": "{S}"',
        f"HTTPHeaders({{'X-Access-Token': '{S}'}})",
        f"Cookie: session={S}; other={S}",
        f'{{"username": "me", "password": "{S}"}}',
        f'{{"method": "access.login", "params": {{"new_password":"{S} with \\" quote"}}}}',
        f"{{'refresh_token': '{S}', 'x': 1}}",
        f"login(password='{S}', user='me')",
        f'login(api_key="{S}")',
        f"password: {S}",
        f"mqtt_password: {S}",
        f"http://me:{S}@camera/stream",
        f"rtsp://{S}@camera/stream",
        f"sent with bearer {S}",
        f'b"token={S}"',
        f"eyJhbGciOiJIUzI1NiJ9.{S}.{S}",
        f"password={S}",
        f"(secret={S})",
    ],
)
def test_hides(text: str) -> None:
    assert S not in redact(text)
    assert "<hidden>" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "200 GET /server/files/list?root=gcodes (127.0.0.1) 1.23ms",
        "component authorization: failed to start",
        "[authorization] trusted_clients: 10.0.0.0/8",
        "token expired",
        "one-shot token for 127.0.0.1 expired",
        "password: {secrets.mqtt.password}",
        "Klipper state: Ready",
        "N12 G1 X10 Y20 E0.5*97",
        "wrong password for user me",
        "http://localhost:7125/server/info",
        "the API key was renewed",
    ],
)
def test_leaves_alone(text: str) -> None:
    assert redact(text) == text


def test_the_rest_of_the_line_stays() -> None:
    assert redact(f"GET /x?token={S}&root=config from 10.0.0.2") == "GET /x?token=<hidden>&root=config from 10.0.0.2"


SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=8, max_size=60)


@given(
    SECRET,
    st.sampled_from(["token", "access_token", "api_key", "apikey", "password", "refresh_token", "oneshot_token"]),
    st.sampled_from(["?{k}={s}", "&{k}={s}&a=b", '"{k}": "{s}"', "'{k}':'{s}'", "{k}='{s}'", "x {k}: {s} y"]),
    st.text(max_size=20),
)
def test_hides_whatever_stands_around(secret: str, key: str, shape: str, before: str) -> None:
    text = f"{before} {shape.format(k=key, s=secret)}"
    if secret in before or secret in key or secret in shape or secret in "<hidden>":
        return
    assert secret not in redact(text)


@given(st.text())
def test_any_text_passes(text: str) -> None:
    assert isinstance(redact(text), str)


@pytest.mark.parametrize("name", ["password", "sudo_password", "token", "api_key", "apikey", "client_secret", "TOKEN"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["secrets_path", "token_timeout", "enable_api_key_x", "user", "keyboard", "port"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_values_of_options() -> None:
    assert redact_option("mqtt", "password", S) == "<hidden>"
    assert redact_option("mqtt", "password", "") == ""
    assert redact_option("mqtt", "password", "{secrets.a.b}") == "{secrets.a.b}"
    assert redact_option("notifier x", "url", f"discord://{S}/{S}") == "discord://<hidden>"
    assert redact_option("notifier x", "url", "json://127.0.0.1:7131/notify") == "json://127.0.0.1:7131/notify"
    assert redact_option("webcam x", "stream_url", f"http://u:{S}@cam/") == "http://<hidden>@cam/"
