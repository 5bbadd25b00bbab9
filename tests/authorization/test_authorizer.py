"""The decision who calls: credentials, addresses, proxies, tokens, origins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.api.access import API_KEY_USER, TRUSTED_USER, AccessPolicy
from moonraker_lite.api.request import User
from moonraker_lite.components.authorization import AuthorizationSettings, Authorizer
from moonraker_lite.components.authorization.authorizer import MAX_REMEMBERED
from moonraker_lite.components.authorization.tokens import LIFETIME, MAX_TOKENS, OneShotTokens
from moonraker_lite.errors import Unauthorized

KEY = "0123456789abcdef0123456789abcdef"
OUTSIDE, LOCAL = "8.8.8.8", "192.168.1.20"
ANNA = User("anna")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(**options: object) -> Authorizer:
    return Authorizer(
        AuthorizationSettings(**options),  # type: ignore[arg-type]
        api_key=KEY,
        verify_token=lambda token: ANNA if token == "good.jwt" else None,
    )


def test_it_is_what_the_transports_ask_for() -> None:
    policy: AccessPolicy = make()
    assert policy.authorize({}, {}, LOCAL) == TRUSTED_USER


def test_an_address_alone() -> None:
    authorizer = make(trusted_clients=("10.0.0.5", "192.168.1.0/24"))
    assert authorizer.authorize({}, {}, LOCAL) == TRUSTED_USER
    assert authorizer.authorize({}, {}, "10.0.0.5") == TRUSTED_USER
    assert authorizer.authorize({}, {}, "10.0.0.6") is None
    assert authorizer.authorize({}, {}, "127.0.0.1") is None
    assert authorizer.authorize({}, {}, "::ffff:10.0.0.5") == TRUSTED_USER


def test_an_empty_list_trusts_nobody() -> None:
    authorizer = make(trusted_clients=())
    assert authorizer.authorize({}, {}, "127.0.0.1") is None
    assert authorizer.authorize({"x-api-key": KEY}, {}, "127.0.0.1") == API_KEY_USER


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({"x-api-key": KEY}, {}, API_KEY_USER),
        ({"authorization": f"Bearer {KEY}"}, {}, API_KEY_USER),
        ({"authorization": "bearer good.jwt"}, {}, ANNA),
        ({"x-access-token": "good.jwt"}, {}, ANNA),
        ({}, {"access_token": "good.jwt"}, ANNA),
        ({"x-api-key": KEY, "authorization": "Basic Zm9vOmJhcg=="}, {}, API_KEY_USER),
        ({"x-api-key": KEY, "authorization": "Bearer bad"}, {}, API_KEY_USER),
        ({"x-api-key": "bad", "authorization": "Bearer good.jwt"}, {}, ANNA),
        ({"x-api-key": ""}, {}, None),
        ({"authorization": "Basic Zm9vOmJhcg=="}, {}, None),
        ({}, {"token": ""}, None),
        ({}, {}, None),
    ],
)
def test_credentials_from_outside(headers: dict[str, str], query: dict[str, str], expected: User | None) -> None:
    assert make().authorize(headers, query, OUTSIDE) == expected


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-api-key": "bad"}, {}),
        ({"x-api-key": KEY[:-1]}, {}),
        ({"x-api-key": KEY + "0"}, {}),
        ({"x-api-key": "käse\udc80"}, {}),
        ({"authorization": "Bearer bad"}, {}),
        ({"x-access-token": "bad"}, {}),
        ({}, {"access_token": "bad"}),
        ({}, {"token": "bad"}),
        ({}, {"token": KEY}),
        ({}, {"access_token": KEY}),
    ],
)
@pytest.mark.parametrize("address", [OUTSIDE, LOCAL, "127.0.0.1"])
def test_a_wrong_credential_is_refused_from_everywhere(
    headers: dict[str, str], query: dict[str, str], address: str
) -> None:
    with pytest.raises(Unauthorized):
        make().authorize(headers, query, address)


def test_values_that_are_no_text_are_no_fault() -> None:
    with pytest.raises(Unauthorized):
        make().authorize({}, {"token": 5, "access_token": [1]}, LOCAL)  # type: ignore[dict-item]


def test_a_websocket_may_open_with_a_placeholder_for_a_credential() -> None:
    authorizer = make()
    assert authorizer.authorize_upgrade({}, {"token": "None"}, LOCAL) == TRUSTED_USER
    assert authorizer.authorize_upgrade({"x-api-key": "None"}, {}, LOCAL) == TRUSTED_USER
    assert authorizer.authorize_upgrade({"x-api-key": KEY}, {}, OUTSIDE) == API_KEY_USER
    assert authorizer.authorize_upgrade({"x-api-key": "bad"}, {}, OUTSIDE) is None


def test_the_key_can_be_switched_off() -> None:
    authorizer = make(enable_api_key=False)
    assert authorizer.authorize({"x-api-key": KEY}, {}, OUTSIDE) is None
    assert authorizer.authorize({"x-api-key": "bad"}, {}, LOCAL) == TRUSTED_USER
    with pytest.raises(Unauthorized):
        authorizer.identify(LOCAL, KEY, None)


def test_forced_logins_count_once_there_are_users() -> None:
    users = False
    authorizer = Authorizer(AuthorizationSettings(force_logins=True), api_key=KEY, has_users=lambda: users)
    assert authorizer.authorize({}, {}, LOCAL) == TRUSTED_USER
    assert not authorizer.login_required
    users = True
    assert authorizer.authorize({}, {}, LOCAL) is None
    assert authorizer.trusted(LOCAL) is None
    assert authorizer.authorize({"x-api-key": KEY}, {}, LOCAL) == API_KEY_USER
    assert authorizer.login_required


class TestProxies:
    """X-Real-IP and X-Forwarded-For count only from trusted proxies."""

    @pytest.mark.parametrize("name", ["x-real-ip", "x-forwarded-for"])
    @pytest.mark.parametrize("claim", ["127.0.0.1", "192.168.1.5", "::1", "127.0.0.1, 127.0.0.1"])
    def test_a_stranger_cannot_claim_to_be_local(self, name: str, claim: str) -> None:
        authorizer = make()
        assert authorizer.authorize({name: claim}, {}, OUTSIDE) is None
        assert authorizer.client_ip({name: claim}, OUTSIDE) == OUTSIDE

    @pytest.mark.parametrize("name", ["x-real-ip", "x-forwarded-for"])
    def test_a_trusted_client_that_is_no_proxy_speaks_for_itself(self, name: str) -> None:
        assert make().client_ip({name: OUTSIDE}, LOCAL) == LOCAL

    @pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", ""])
    @pytest.mark.parametrize("name", ["x-real-ip", "x-forwarded-for"])
    def test_a_proxy_speaks_for_its_client(self, peer: str, name: str) -> None:
        authorizer = make()
        assert authorizer.authorize({name: OUTSIDE}, {}, peer) is None
        assert authorizer.authorize({name: LOCAL}, {}, peer) == TRUSTED_USER
        assert authorizer.client_ip({name: LOCAL}, peer) == LOCAL

    @pytest.mark.parametrize(
        "headers",
        [
            # The proxy sets X-Forwarded-For and passes the other on, or the other way round.
            {"x-forwarded-for": OUTSIDE, "x-real-ip": "127.0.0.1"},
            {"x-forwarded-for": OUTSIDE, "x-real-ip": LOCAL},
            {"x-forwarded-for": LOCAL, "x-real-ip": OUTSIDE},
            {"x-forwarded-for": "127.0.0.1", "x-real-ip": OUTSIDE},
            {"x-forwarded-for": f"{LOCAL}, {OUTSIDE}"},
            {"x-forwarded-for": f"127.0.0.1, {OUTSIDE}, 127.0.0.1"},
            {"x-forwarded-for": f"{LOCAL}, garbage"},
            {"x-real-ip": "garbage"},
        ],
    )
    def test_the_invented_header_does_not_help(self, headers: dict[str, str]) -> None:
        assert make().authorize(headers, {}, "127.0.0.1") is None

    def test_the_usual_nginx(self) -> None:
        headers = {"x-forwarded-for": LOCAL, "x-real-ip": LOCAL}
        assert make().client_ip(headers, "127.0.0.1") == LOCAL

    def test_a_chain_of_proxies(self) -> None:
        authorizer = make(trusted_proxies=("127.0.0.1", "192.168.1.2"))
        headers = {"x-forwarded-for": f"{OUTSIDE}, 192.168.1.2", "x-real-ip": "192.168.1.2"}
        assert authorizer.client_ip(headers, "127.0.0.1") == OUTSIDE

    def test_without_trusted_proxies_nobody_is_believed(self) -> None:
        authorizer = make(trusted_proxies=())
        assert authorizer.client_ip({"x-real-ip": LOCAL}, "127.0.0.1") == "127.0.0.1"

    @given(st.text(), st.text(), st.sampled_from(["127.0.0.1", LOCAL, OUTSIDE]))
    def test_any_header_can_be_read(self, forwarded_for: str, real_ip: str, peer: str) -> None:
        assert make().client_ip({"x-forwarded-for": forwarded_for, "x-real-ip": real_ip}, peer)


class TestTokens:
    """One-shot tokens: five seconds, one use, one address."""

    def test_one_use(self) -> None:
        authorizer = make()
        token = authorizer.issue_token(API_KEY_USER, OUTSIDE)
        assert len(token) == 32
        assert authorizer.authorize({}, {"token": token}, OUTSIDE) == API_KEY_USER
        with pytest.raises(Unauthorized):
            authorizer.authorize({}, {"token": token}, OUTSIDE)

    def test_one_address(self) -> None:
        authorizer = make()
        token = authorizer.issue_token(TRUSTED_USER, LOCAL)
        for address in (OUTSIDE, "192.168.1.21", "127.0.0.1"):
            with pytest.raises(Unauthorized):
                authorizer.authorize({}, {"token": token}, address)
        assert authorizer.authorize({}, {"token": token}, LOCAL) == TRUSTED_USER

    def test_five_seconds(self) -> None:
        clock = Clock()
        tokens = OneShotTokens(clock)
        token, late = tokens.issue(ANNA, LOCAL), tokens.issue(ANNA, LOCAL)
        clock.now += LIFETIME - 0.1
        assert tokens.redeem(token, LOCAL) == ANNA
        clock.now += 0.1
        assert tokens.redeem(late, LOCAL) is None
        assert len(tokens) == 0

    def test_their_number_is_bounded(self) -> None:
        tokens = OneShotTokens(Clock())
        given_out = [tokens.issue(ANNA, LOCAL) for _ in range(MAX_TOKENS + 5)]
        assert len(tokens) == MAX_TOKENS
        assert tokens.redeem(given_out[0], LOCAL) is None
        assert tokens.redeem(given_out[-1], LOCAL) == ANNA

    def test_they_end_with_the_credential_of_their_user(self) -> None:
        tokens = OneShotTokens(Clock())
        of_key, of_anna = tokens.issue(API_KEY_USER, LOCAL), tokens.issue(ANNA, LOCAL)
        tokens.revoke(API_KEY_USER.name)
        assert tokens.redeem(of_key, LOCAL) is None
        assert tokens.redeem(of_anna, LOCAL) == ANNA


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    authorizer = make()
    for number in range(MAX_REMEMBERED * 2 + 10):
        authorizer.authorize({}, {}, f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(authorizer._standings) <= MAX_REMEMBERED
    assert len(authorizer._peers) <= MAX_REMEMBERED


def test_a_name_that_got_an_address_is_trusted_from_then_on() -> None:
    asked = 0

    def stranger() -> None:
        nonlocal asked
        asked += 1

    authorizer = Authorizer(AuthorizationSettings(trusted_clients=("my-pc.lan",)), on_stranger=stranger)
    assert authorizer.authorize({}, {}, LOCAL) is None
    assert authorizer.authorize({}, {}, LOCAL) is None
    assert asked == 1
    authorizer.clients.resolved = frozenset({LOCAL})
    authorizer.forget()
    assert authorizer.authorize({}, {}, LOCAL) == TRUSTED_USER
