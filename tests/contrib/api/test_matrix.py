"""Every permission on every address: with all that an action asks for it works, without one not."""

import pytest
from django.urls import NoReverseMatch, get_resolver, reverse

from django_smsww import SendResult, send_mass_sms
from django_smsww.contrib.api.urls import router
from django_smsww.contrib.verification import start_verification
from django_smsww.models import Suppression
from tests.conftest import NUMBER

BODIES = {
    "message-create": {"recipient": NUMBER, "body": "Hello"},
    "batch-create": {"recipients": [NUMBER], "body": "Hello"},
    "suppression-create": {"recipient": "+34612345678"},
    "verification-create": {"number": NUMBER},
    "verification-check": {"number": "+393330000000", "code": "123456"},
}
ACTIONS = [
    (basename, viewset, name)
    for _prefix, viewset, basename in router.registry
    for name in sorted(viewset.action_permissions.keys() - {"metadata"})
]
CELLS = [
    (basename, name, missing)
    for basename, viewset, name in ACTIONS
    for missing in (None, *viewset.action_permissions[name])
]


@pytest.fixture
def rows(make_message, gateway, monkeypatch, settings):
    settings.SMSWW_VERIFICATION = {"test_numbers": {"+393330000000": "123456"}}
    start_verification("+393330000000")
    delivered = SendResult(provider_id="p-1", state="DELIVERED")
    monkeypatch.setattr(gateway, "fetch", lambda self, provider_id: delivered)
    message = make_message(state="FAILED", error="SMSRefused")
    queued = make_message(state="QUEUED")
    known = make_message(state="PENDING", provider_id="p-1")
    batch = send_mass_sms("Hello", [NUMBER], queue=True)[0].batch
    entry = Suppression.objects.create(recipient="+4915112345678")
    return {
        "message": {"reference": message.reference},
        "message-cancel": {"reference": queued.reference},
        "message-refresh": {"reference": known.reference},
        "batch": {"reference": batch},
        "suppression": {"pk": entry.pk},
        "verification": {},
    }


def ask(client, basename, name, rows):
    """Make the request of an action; return its status."""
    view = {"create": "list", "retrieve": "detail", "destroy": "detail"}.get(name, name)
    method = {"list": "get", "retrieve": "get", "destroy": "delete"}.get(name, "post")
    names = rows.get(f"{basename}-{name}", rows[basename])
    try:
        path = reverse(f"smsww_api:{basename}-{view}")
    except NoReverseMatch:
        path = reverse(f"smsww_api:{basename}-{view}", kwargs=names)
    body = BODIES.get(f"{basename}-{name}")
    headers = {"Idempotency-Key": "k-1"}
    return getattr(client, method)(path, body, format="json", headers=headers).status_code


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("basename", "name", "missing"), CELLS)
def test_an_action_asks_for_each_of_its_permissions(client_of, rows, basename, name, missing):
    [viewset] = [kind for base, kind, one in ACTIONS if (base, one) == (basename, name)]
    client = client_of(*(set(viewset.action_permissions[name]) - {missing}))
    status = ask(client, basename, name, rows)
    assert (status == 403) if missing else (status in (200, 201, 202, 204))


def test_every_address_has_a_cell():
    patterns = get_resolver("django_smsww.contrib.api.urls").url_patterns
    actions = {
        (pattern.name.partition("-")[0], name)
        for pattern in patterns
        for name in pattern.callback.actions.values()
    }
    assert actions == {(basename, name) for basename, _viewset, name in ACTIONS}
