"""The account host, in the shapes of its specification 2.1.0."""

import pytest

SCOPES = ["POST:test.sms.openapi.com/WW-messages"]


@pytest.mark.parametrize("auth", [("me@example.com", "wrong"), ("me", "key"), ("", ""), None])
@pytest.mark.parametrize("path", ["/wallet", "/tokens"])
def test_account_needs_basic_credentials(door, path, auth):
    assert door.account(path, auth=auth).status_code == 401
    assert door.get(path).status_code == 401  # with a Bearer token


def test_wallet_shape(door):
    assert set(door.account("/wallet").json()["data"]) == {"credit", "createdAt", "updatedAt"}


def test_token_is_made_bare_and_opens_the_door(open_door):
    door = open_door(token="other")
    body = {"scopes": SCOPES, "name": "mine", "ttl": 3600}
    detail = door.account("/tokens", "POST", json=body).json()
    assert set(detail) >= {"token", "expireAt", "refreshToken", "scopes", "createdAt"}
    door.session.headers["Authorization"] = f"Bearer {detail['token']}"
    assert door.post().status_code == 201
    assert door.account("/tokens").json()["data"] == [detail]


@pytest.mark.parametrize("ttl", [0, -1, 10**12])
def test_token_lives_a_year_at_most(door, ttl):
    detail = door.account("/tokens", "POST", json={"scopes": SCOPES, "ttl": ttl}).json()
    assert int(detail["expireAt"][:4]) - int(detail["createdAt"][:4]) == 1
