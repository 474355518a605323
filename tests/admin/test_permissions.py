"""Who may see and do what, page by page, and what cannot be learnt by asking cleverly."""

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone

from django_smsww import InsufficientCredit, State
from django_smsww.backends.locmem import SMSBackend
from django_smsww.models import Callback, Event, Message, Suppression, Suspension

from ..conftest import NUMBER
from ..support.people import browser_of, staff

TEXT = "Your code is 4711"
UNWANTED = "+393339990001"
EXAMPLE = f"such as {NUMBER}"  # on the page that adds a number to the list
PRICE = "0.373737"  # no duration and no coordinate is written like that
VIEW = ("view_message", "view_callback", "view_suspension")
CONTENT = ("view_message_content", "view_message_costs")
DEEDS = ("resend", "refresh", "cancel", "settle", "export")
OTHERS = ("send", "mass_send", "pause")
LIST_OF_NUMBERS = ("view_suppression", "add_suppression", "delete_suppression")
BATCH = UUID("6f1d0a52-0000-4000-8000-000000000001")
SETS = {
    "nothing": (),
    "resend alone": ("resend_message", "view_message_content", "view_message_costs"),
    "view": VIEW,
    "content": (*VIEW, "view_message_content"),
    "costs": (*VIEW, "view_message_costs"),
    "resend": (*VIEW, "resend_message"),
    "refresh": (*VIEW, "refresh_message"),
    "cancel": (*VIEW, "cancel_message"),
    "settle": (*VIEW, "settle_message"),
    "pause": (*VIEW, "pause_message"),
    "pause alone": ("pause_message", "settle_message", "cancel_message", "export_message"),
    "export": (*VIEW, "export_message"),
    "send": (*VIEW, "send_message"),
    "mass send": (*VIEW, "mass_send_message"),
    "do not send": (*VIEW, "view_suppression"),
    "add": (*VIEW, "view_suppression", "add_suppression"),
    "delete": (*VIEW, "view_suppression", "delete_suppression"),
    "everything": (
        *VIEW,
        *CONTENT,
        *LIST_OF_NUMBERS,
        *(f"{name}_message" for name in (*DEEDS, *OTHERS)),
    ),
}
each_set = pytest.mark.parametrize("name", SETS)
pytestmark = pytest.mark.django_db


@pytest.fixture
def history(make_message, monkeypatch):
    """One message with everything that could be learnt of it, and one for each deed."""
    monkeypatch.setattr(SMSBackend, "fetch_page", lambda self, skip, limit: [], raising=False)
    monkeypatch.setattr(SMSBackend, "fetch", lambda self, provider_id: None, raising=False)
    message = make_message(
        recipient=NUMBER,
        body=TEXT,
        state=State.FAILED,
        key=f"{NUMBER}-key",
        custom={"phone": NUMBER},
        total_price=Decimal(PRICE),
        price=Decimal(PRICE),
        penalty=None,
        blocklisted_reason=TEXT,
        error=InsufficientCredit.__name__,
        error_code=PRICE,
        error_text=f"Insufficient Credit in Wallet: {PRICE} > 0.1",
        segments=1,
    )
    Event.objects.create(
        message=message, kind="attempt", error=message.error, error_text=message.error_text
    )
    callback = Callback.objects.create(
        message=message,
        reference=message.reference,
        state="PENDING",
        payload={"totalPrice": PRICE, "custom": {"phone": NUMBER}, "old": [{"price": PRICE}]},
    )
    long_ago = timezone.now() - timedelta(hours=1)
    unknown = {"state": State.UNKNOWN, "claimed_at": long_ago, "body": TEXT, "alias": "default"}
    rows = {
        "resend": make_message(state=State.EXPIRED, body=TEXT),
        "refresh": make_message(**unknown, environment="", price=Decimal(PRICE)),
        "cancel": make_message(body=TEXT, batch=BATCH, total_price=Decimal(PRICE)),
        "settle": make_message(**unknown),
    }
    return SimpleNamespace(
        message=message,
        callback=callback,
        rows=rows,
        suspension=Suspension.objects.create(alias="other"),
        suppression=Suppression.objects.create(recipient=UNWANTED, reason=TEXT),
    )


def addresses(history):
    """Return every page of the history by name."""
    name = "admin:django_smsww_"
    pages = {
        "messages": reverse(f"{name}message_changelist"),
        "search": reverse(f"{name}message_changelist") + "?q=%2B39333",
        "message": reverse(f"{name}message_change", args=(history.message.pk,)),
        "log": reverse(f"{name}message_history", args=(history.message.pk,)),
        "callbacks": reverse(f"{name}callback_changelist"),
        "callback": reverse(f"{name}callback_change", args=(history.callback.pk,)),
        "suspensions": reverse(f"{name}suspension_changelist"),
        "suspension": reverse(f"{name}suspension_change", args=(history.suspension.pk,)),
        "pause": reverse(f"{name}suspension_pause"),
        "resume": reverse(f"{name}suspension_resume", args=(history.suspension.pk,)),
        "statistics": reverse(f"{name}message_statistics"),
        "compose": reverse(f"{name}message_compose"),
        "batch": reverse(f"{name}message_batch", args=(BATCH,)),
        "stop": reverse(f"{name}message_batch_stop", args=(BATCH,)),
    }
    for model in ("callback", "suspension", "suppression"):
        row = getattr(history, model)
        pages[f"{model} log"] = reverse(f"{name}{model}_history", args=(row.pk,))
    entry = (history.suppression.pk,)
    pages |= {
        "suppressions": reverse(f"{name}suppression_changelist"),
        "suppression": reverse(f"{name}suppression_change", args=entry),
        "add": reverse(f"{name}suppression_add"),
        "delete": reverse(f"{name}suppression_delete", args=entry),
    }
    for deed in DEEDS[:-1]:
        pages[deed] = reverse(f"{name}message_{deed}", args=(history.rows[deed].pk,))
        pages[f"{deed} many"] = reverse(f"{name}message_{deed}_selected")
    return pages


DOING = {
    **{f"{deed}{many}": f"{deed}_message" for deed in DEEDS[:-1] for many in ("", " many")},
    "pause": "pause_message",
    "resume": "pause_message",
    "compose": "send_message",
    "stop": "cancel_message",
    "add": "add_suppression",
    "delete": "delete_suppression",
}
"""The pages that do something, and the permission that each asks for."""


def may_open(page, name):
    """Tell whether the permissions of this name open this page."""
    held = set(SETS[name])
    view = "view_message"
    if page.startswith("callback"):
        view = "view_callback"
    if page.startswith("suspension") or page in ("pause", "resume"):
        view = "view_suspension"
    if page.startswith("suppression") or page in ("add", "delete"):
        view = "view_suppression"
    return view in held and DOING.get(page, view) in held


def all_pages(client, history):
    """Return what every page answers to a GET, and the questions of the actions."""
    answers = {name: client.get(address) for name, address in addresses(history).items()}
    everything = Message.objects.values_list("pk", flat=True)
    for deed in DEEDS:
        action = {"action": f"{deed}_selected", "_selected_action": list(everything)}
        answers[f"{deed} action"] = client.post(addresses(history)["messages"], action)
    return answers


def names_of(patterns):
    """Yield the names of all addresses of the app."""
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from names_of(pattern.url_patterns)
        elif str(pattern.name).startswith("django_smsww_"):
            yield pattern.name


def test_every_address_of_the_admin_is_tried_here(history):
    tried = {resolve(urlsplit(each).path).url_name for each in addresses(history).values()}
    nobodys = {  # see test_nobody_adds_changes_or_deletes
        f"django_smsww_{model}_{view}"
        for model in ("message", "callback", "suspension")
        for view in ("add", "delete")
    }
    assert tried | nobodys == set(names_of(admin.site.urls[0]))


@each_set
def test_each_page_opens_to_whom_it_may(history, name):
    client = browser_of(staff(*SETS[name]))
    for page, address in addresses(history).items():
        answer = client.get(address)
        assert (answer.status_code in (200, 302)) == may_open(page, name), page
        assert (answer.status_code == 403) == (not may_open(page, name)), page


@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_are_sent_to_the_login(history, smsoutbox, method):
    for address in addresses(history).values():
        answer = getattr(Client(), method)(address)
        assert answer.status_code == 302
        assert "/login/" in answer.url
    assert smsoutbox == []


def everything_there_is():
    """Return all rows as they stand."""
    models = (Message, Callback, Event, Suspension, Suppression)
    return [list(model.objects.order_by("pk").values_list()) for model in models]


FORM = {"again": "yes", "verdict": "unsent", "reason": "because", "alias": "default"}
FORM |= {"recipients": "+393330000001", "body": "Hi", "token": str(BATCH), "_send": "1"}
FORM |= {"recipient": "+393330000002", "post": "yes"}


@each_set
def test_a_post_does_only_what_is_permitted(history, smsoutbox, name):
    client = browser_of(staff(*SETS[name]))
    chosen = {"_selected_action": history.message.pk, "action": "resend_selected", "index": "0"}
    before = everything_there_is()
    for page, address in addresses(history).items():
        if not may_open(page, name):
            assert client.post(address, FORM | chosen).status_code in (302, 403), page
        elif page not in DOING:
            client.post(address, FORM | chosen | {"state": "DELIVERED", "_save": "1"})
    assert everything_there_is() == before
    assert smsoutbox == []


@pytest.mark.parametrize("page", DOING)
@each_set
def test_each_deed_is_done_by_whom_it_may(history, smsoutbox, name, page):
    client = browser_of(staff(*SETS[name]))
    deed = page.partition(" ")[0]
    row = history.rows.get(deed)
    form = FORM | {"_selected_action": row.pk if row else ""}
    before = everything_there_is()
    answer = client.post(addresses(history)[page], form)
    assert answer.status_code == (302 if may_open(page, name) else 403)
    assert (everything_there_is() != before) == may_open(page, name)
    assert len(smsoutbox) == (may_open(page, name) and deed in ("resend", "compose"))


@each_set
def test_an_action_is_offered_and_asked_by_whom_it_may(history, name):
    client = browser_of(staff(*SETS[name]))
    if "view_message" not in SETS[name]:
        return
    listing = client.get(addresses(history)["messages"]).content.decode()
    for deed in DEEDS:
        may = f"{deed}_message" in SETS[name]
        assert (f'value="{deed}_selected"' in listing) == may
        form = {"action": f"{deed}_selected", "_selected_action": history.message.pk}
        answer = client.post(addresses(history)["messages"], form | {"index": "0"})
        assert ("smsww-question" in answer.content.decode()) == may


@each_set
def test_a_button_is_there_for_whom_it_may(history, name):
    client = browser_of(staff(*SETS[name]))
    for deed in DEEDS[:-1]:
        link = addresses(history)[deed]
        page = link.replace(f"/{deed}/", "/change/")
        assert (link in client.get(page).content.decode()) == may_open(deed, name)


@each_set
@pytest.mark.parametrize("model", ["message", "callback", "suspension"])
def test_nobody_adds_changes_or_deletes(history, name, model):
    client = browser_of(staff(*SETS[name]))
    row = history.callback if model == "callback" else history.message
    for view, args in (("add", ()), ("delete", (row.pk,))):
        address = reverse(f"admin:django_smsww_{model}_{view}", args=args)
        assert client.get(address).status_code in (302, 403)  # 302: there is no such suspension
        assert client.post(address, {"post": "yes"}).status_code in (302, 403)
    if model != "suspension":
        change = reverse(f"admin:django_smsww_{model}_change", args=(row.pk,))
        assert client.post(change, {"state": "NEW", "_save": "1"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
        client.post(reverse(f"admin:django_smsww_{model}_changelist"), chosen)
    assert (Message.objects.count(), Callback.objects.count()) == (5, 1)


def test_even_the_superuser_changes_nothing(history, admin_client):
    change = addresses(history)["message"]
    assert admin_client.get(change).status_code == 200
    assert admin_client.post(change, {"_save": "1"}).status_code == 403
    delete = reverse("admin:django_smsww_message_delete", args=(history.message.pk,))
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert (
        'value="delete_selected"'
        not in admin_client.get(addresses(history)["messages"]).content.decode()
    )


@pytest.mark.parametrize("prefix", ["", "change-form-", "change_form-"])
def test_the_page_of_a_message_runs_no_action(history, admin_client, smsoutbox, prefix):
    """From Django 6.1 on the admin runs such actions inside a transaction."""
    form = {f"{prefix}action": "resend_selected", "_selected_action": history.message.pk}
    assert admin_client.post(addresses(history)["message"], form).status_code == 403
    assert smsoutbox == []


@pytest.mark.parametrize(
    "name", ["view", "costs", *DEEDS, "send", "mass send", "pause", "do not send", "add", "delete"]
)
def test_without_the_permission_no_number_or_text_is_anywhere(history, name):
    for page, answer in all_pages(browser_of(staff(*SETS[name])), history).items():
        text = answer.content.decode().replace(EXAMPLE, "")
        for secret in (NUMBER, NUMBER[1:], UNWANTED, "is 4711", "Your code"):
            assert secret not in text, page


@pytest.mark.parametrize("name", ["view", "content", *DEEDS, "send", "pause"])
def test_without_the_permission_no_price_is_anywhere(history, name):
    for page, answer in all_pages(browser_of(staff(*SETS[name])), history).items():
        assert PRICE not in answer.content.decode(), page


def test_with_the_permissions_everything_is_there(history):
    answers = all_pages(browser_of(staff(*SETS["everything"])), history)
    shown = {page: answer.content.decode() for page, answer in answers.items()}
    for page in ("messages", "search", "message", "callback", "resend action"):
        assert NUMBER in shown[page], page
        assert PRICE in shown[page], page
    for deed in DEEDS[:-1]:
        assert NUMBER in shown[deed]
        assert NUMBER in shown[f"{deed} action"]
    assert TEXT in shown["messages"]
    assert TEXT in shown["message"]


@pytest.mark.parametrize("name", ["view", "everything"])
@pytest.mark.parametrize(
    "lookup",
    [
        "body__regex",
        "body",
        "body__startswith",
        "recipient__startswith",
        "recipient_reversed__startswith",
        "recipient",
        "custom__phone",
        "created_by__password__startswith",
        "created_by__id__exact",
        "key__contains",
        "total_price__gt",
        "resend_of__body__contains",
        "callbacks__payload__contains",
        "state__exact",
        "state__in",
        "id__in",
        "fingerprint",
    ],
)
def test_no_undeclared_filter_is_accepted_from_anybody(history, name, lookup):
    client = browser_of(staff(*SETS[name]))
    assert client.get(addresses(history)["messages"], {lookup: "Y"}).status_code == 400


@pytest.mark.parametrize("name", ["do not send", "everything"])
@pytest.mark.parametrize(
    ("page", "lookup"),
    [
        ("callbacks", "payload__contains"),
        ("callbacks", "message__body__regex"),
        ("callbacks", "message__id"),
        ("suspensions", "scope__contains"),
        ("suspensions", "created_by__password__startswith"),
        ("suppressions", "recipient__startswith"),
        ("suppressions", "recipient"),
        ("suppressions", "reason__regex"),
    ],
)
def test_no_undeclared_filter_of_other_lists_is_accepted(history, name, page, lookup):
    client = browser_of(staff(*SETS[name]))
    assert client.get(addresses(history)[page], {lookup: "1"}).status_code == 400


def test_no_address_does_anything_by_its_query(history, smsoutbox):
    client = browser_of(staff(*SETS["everything"]))
    chosen = {"_selected_action": history.message.pk, "action": "resend_selected", "index": "0"}
    before = everything_there_is()
    for page, address in addresses(history).items():
        query = FORM | chosen | {"confirmed": "yes", "_save": "1", "recipient": "+393330000003"}
        assert client.get(address, query).status_code in (200, 302, 400), page
    assert everything_there_is() == before
    assert smsoutbox == []


@pytest.mark.parametrize(
    ("typed", "rows"),
    [
        ("+39333", 0),
        ("39333123456", 0),
        ("+", 0),
        ("333 123 4567", 0),
        ("4567", 0),
        ("Your code", 0),
        ("4711", 0),
        (f"{NUMBER}-ke", 0),
        (f"{NUMBER}9", 0),
        (NUMBER, 5),
        ("0039 333 123 4567", 5),
        (f"{NUMBER}-key", 1),
    ],
)
def test_without_the_permission_only_what_is_complete_is_found(history, typed, rows):
    client = browser_of(staff(*SETS["view"]))
    answer = client.get(addresses(history)["messages"], {"q": typed, "period": "today"})
    assert answer.context["cl"].result_count == rows


def test_a_field_that_is_no_key_does_not_open_a_page(history):
    client = browser_of(staff(*SETS["view"]))
    address = reverse("admin:django_smsww_message_change", args=(NUMBER,))
    assert client.get(address, {"_to_field": "recipient"}).status_code == 400


@pytest.mark.parametrize("query", ["?o=2", "?o=-2", "?_facets=True", "?all=", "?_popup=1"])
def test_the_switches_of_the_list_tell_nothing(history, query):
    client = browser_of(staff(*SETS["view"]))
    answer = client.get(addresses(history)["messages"] + query)
    assert answer.status_code == 200
    assert answer.context["cl"].queryset.query.order_by == ("-pk",)
    assert NUMBER not in answer.content.decode()
