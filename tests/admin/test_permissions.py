"""Who may see and do what, page by page, and what cannot be learnt by asking cleverly."""

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from django_smsww import InsufficientCredit, State
from django_smsww.backends.locmem import SMSBackend
from django_smsww.models import Batch, Callback, Event, Message, Suppression, Suspension

from ..conftest import NUMBER
from ..support.people import EVERYTHING, LIST, admin_url, browser_of, missing, staff, text_of
from ..support.sampling import slow_unless

TEXT = "Your code is 4711"
UNWANTED = "+393339990001"
EXAMPLE = f"such as {NUMBER}"  # on the page that adds a number to the list
PRICE = "0.373737"  # no duration and no coordinate is written like that
VIEW = ("view_message", "view_callback", "view_suspension")
ACTIONS = ("resend", "refresh", "cancel", "settle", "export")
LIST_OF_NUMBERS = ("view_suppression", "add_suppression", "delete_suppression")
BATCH = UUID("6f1d0a52-0000-4000-8000-000000000001")
SETS = {
    "nothing": (),
    "resend alone": ("resend_message", "view_message_content", "view_message_costs"),
    "view": VIEW,
    "content": (*VIEW, "view_message_content"),
    "costs": (*VIEW, "view_message_costs"),
    **{name: (*VIEW, f"{name}_message") for name in (*ACTIONS, "send", "mass_send", "pause")},
    "pause alone": ("pause_message", "settle_message", "cancel_message", "export_message"),
    "do not send": (*VIEW, "view_suppression"),
    "add": (*VIEW, "view_suppression", "add_suppression"),
    "delete": (*VIEW, "view_suppression", "delete_suppression"),
    "everything": (*EVERYTHING, *LIST_OF_NUMBERS),
}
FEW = {"nothing", "resend alone", "view", "everything"}
each_set = pytest.mark.parametrize("name", slow_unless(FEW.__contains__, SETS))
pytestmark = pytest.mark.django_db


@pytest.fixture
def client(name):
    """The browser of a member of staff with the permissions of this name."""
    return browser_of(staff(*SETS[name]))


@pytest.fixture
def history(make_message, monkeypatch):
    """One message with everything that could be learnt of it, and one for each action."""
    monkeypatch.setattr(SMSBackend, "fetch_page", lambda self, skip, limit: [], raising=False)
    monkeypatch.setattr(SMSBackend, "fetch", lambda self, provider_id: None, raising=False)
    said = f"Insufficient Credit in Wallet: {PRICE} > 0.1"
    error = {"error": InsufficientCredit.__name__, "error_text": said}
    message = make_message(
        body=TEXT,
        state=State.FAILED,
        key=f"{NUMBER}-key",
        custom={"phone": NUMBER},
        total_price=Decimal(PRICE),
        price=Decimal(PRICE),
        blocklisted_reason=TEXT,
        error_code=PRICE,
        segments=1,
        **error,
    )
    message.events.create(kind="attempt", **error)
    payload = {"totalPrice": PRICE, "custom": {"phone": NUMBER}, "old": [{"price": PRICE}]}
    callback = message.callbacks.create(reference=message.reference, state="NEW", payload=payload)
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
        batch=Batch.objects.create(reference=BATCH, alias="default", size=1),
        suspension=Suspension.objects.create(alias="other"),
        suppression=Suppression.objects.create(recipient=UNWANTED, reason=TEXT),
    )


def addresses(history):
    """Return every page of the history by name."""
    pages = {
        "search": f"{LIST}?q=%2B39333",
        "pause": admin_url("suspension_pause"),
        "resume": admin_url("suspension_resume", history.suspension.pk),
        "statistics": f"{admin_url('message_statistics')}?since={timezone.localdate()}",
        "compose": admin_url("message_compose"),
        "progress": admin_url("batch_page", BATCH),
        "stop": admin_url("batch_stop", BATCH),
        "add": admin_url("suppression_add"),
        "delete": admin_url("suppression_delete", history.suppression.pk),
    }
    for model in ("message", "batch", "callback", "suspension", "suppression"):
        row = getattr(history, model)
        pages[f"{model}s"] = admin_url(f"{model}_changelist")
        pages[model] = admin_url(f"{model}_change", row.pk)
        pages[f"{model} log"] = admin_url(f"{model}_history", row.pk)
    for action in ACTIONS[:-1]:
        pages[action] = admin_url(f"message_{action}", history.rows[action].pk)
        pages[f"{action} many"] = admin_url(f"message_{action}_selected")
    return pages


DOING = {
    **{f"{action}{many}": f"{action}_message" for action in ACTIONS[:-1] for many in ("", " many")},
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
    for action in ACTIONS:
        form = {"action": f"{action}_selected", "_selected_action": list(everything)}
        answers[f"{action} action"] = client.post(LIST, form)
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
        for model in ("message", "batch", "callback", "suspension")
        for view in ("add", "delete")
    }
    assert tried | nobodys == set(names_of(admin.site.urls[0]))


@each_set
def test_each_page_opens_to_whom_it_may(history, client, name):
    for page, address in addresses(history).items():
        codes = (200, 302) if may_open(page, name) else (403,)
        assert client.get(address).status_code in codes, page


@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_are_sent_to_the_login(history, smsoutbox, method):
    for address in addresses(history).values():
        answer = getattr(Client(), method)(address)
        assert (answer.status_code, "/login/" in answer.url) == (302, True)
    assert smsoutbox == []


def everything_there_is():
    """Return all rows as they stand."""
    models = (Message, Callback, Event, Suspension, Suppression)
    return [list(model.objects.order_by("pk").values_list()) for model in models]


FORM = {"again": "yes", "verdict": "unsent", "reason": "because", "alias": "default"}
FORM |= {"recipients": "+393330000001", "body": "Hi", "token": str(BATCH), "_send": "1"}
FORM |= {"recipient": "+393330000002", "post": "yes"}


@each_set
def test_a_post_does_only_what_is_permitted(history, smsoutbox, client, name):
    chosen = {"_selected_action": history.message.pk, "action": "resend_selected", "index": "0"}
    before = everything_there_is()
    for page, address in addresses(history).items():
        if not may_open(page, name):
            assert client.post(address, FORM | chosen).status_code in (302, 403), page
        elif page not in DOING:
            client.post(address, FORM | chosen | {"state": "DELIVERED", "_save": "1"})
    assert everything_there_is() == before
    assert smsoutbox == []


def is_telling(page, name):
    return name == "view" or may_open(page, name)


@pytest.mark.parametrize(
    ("page", "name"), slow_unless(is_telling, [(page, name) for page in DOING for name in SETS])
)
def test_each_deed_is_done_by_whom_it_may(history, smsoutbox, client, name, page):
    action = page.partition(" ")[0]
    row = history.rows.get(action)
    form = FORM | {"_selected_action": row.pk if row else ""}
    before = everything_there_is()
    answer = client.post(addresses(history)[page], form)
    assert answer.status_code == (302 if may_open(page, name) else 403)
    assert (everything_there_is() != before) == may_open(page, name)
    assert len(smsoutbox) == (may_open(page, name) and action in ("resend", "compose"))


@each_set
def test_an_action_is_offered_and_asked_by_whom_it_may(history, client, name):
    if "view_message" not in SETS[name]:
        return
    listing = text_of(client.get(LIST))
    for action in ACTIONS:
        may = f"{action}_message" in SETS[name]
        assert (f'value="{action}_selected"' in listing) == may
        form = {"action": f"{action}_selected", "_selected_action": history.message.pk}
        answer = client.post(LIST, form | {"index": "0"})
        assert ("smsww-question" in text_of(answer)) == may


@each_set
def test_a_link_is_there_for_whom_it_may(history, client, name):
    links = addresses(history)
    shown = {
        "stop": "progress",
        "compose": "messages",
        "pause": "suspensions",
        "resume": "suspension",
    }
    pages = {link: links[page] for link, page in shown.items()}
    pages |= {each: links[each].replace(f"/{each}/", "/change/") for each in ACTIONS[:-1]}
    for link, page in pages.items():
        assert (links[link] in text_of(client.get(page))) == may_open(link, name)


@each_set
@pytest.mark.parametrize("model", ["message", "callback", "suspension"])
def test_nobody_adds_changes_or_deletes(history, client, model):
    row = history.callback if model == "callback" else history.message
    for view, args in (("add", ()), ("delete", (row.pk,))):
        address = admin_url(f"{model}_{view}", *args)
        assert client.get(address).status_code in (302, 403)  # 302: there is no such suspension
        assert client.post(address, {"post": "yes"}).status_code in (302, 403)
    if model != "suspension":
        change = admin_url(f"{model}_change", row.pk)
        assert client.post(change, {"state": "NEW", "_save": "1"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
        client.post(admin_url(f"{model}_changelist"), chosen)
    assert (Message.objects.count(), Callback.objects.count()) == (5, 1)


def test_even_the_superuser_changes_nothing(history, admin_client):
    change = addresses(history)["message"]
    assert admin_client.get(change).status_code == 200
    for address in (change, admin_url("message_delete", history.message.pk)):
        assert admin_client.post(address, {"post": "yes", "_save": "1"}).status_code == 403
    assert 'value="delete_selected"' not in text_of(admin_client.get(LIST))


@pytest.mark.parametrize("prefix", ["", "change-form-", "change_form-"])
def test_the_page_of_a_message_runs_no_action(history, admin_client, smsoutbox, prefix):
    """From Django 6.1 on the admin runs such actions inside a transaction."""
    form = {f"{prefix}action": "resend_selected", "_selected_action": history.message.pk}
    assert admin_client.post(addresses(history)["message"], form).status_code == 403
    assert smsoutbox == []


@pytest.mark.parametrize(
    "name",
    slow_unless(
        {"resend", "delete"}.__contains__,
        ["view", "costs", *ACTIONS, "send", "mass_send", "pause", "do not send", "add", "delete"],
    ),
)
def test_without_the_permission_no_number_or_text_is_anywhere(history, client):
    for page, answer in all_pages(client, history).items():
        text = text_of(answer).replace(EXAMPLE, "")
        for secret in (NUMBER, NUMBER[1:], UNWANTED, "is 4711", "Your code"):
            assert secret not in text, page


@pytest.mark.parametrize(
    "name",
    slow_unless({"content", "resend"}.__contains__, ["view", "content", *ACTIONS, "send", "pause"]),
)
def test_without_the_permission_no_price_is_anywhere(history, client):
    for page, answer in all_pages(client, history).items():
        assert missing(answer, PRICE), page


@pytest.mark.parametrize("name", ["everything"])
def test_with_the_permissions_everything_is_there(history, client):
    pages = all_pages(client, history)
    for page in ("messages", "search", "message", "callback", "resend action"):
        assert not missing(pages[page], NUMBER, PRICE), page
    for page in (each for action in ACTIONS[:-1] for each in (action, f"{action} action")):
        assert not missing(pages[page], NUMBER), page
    for page in ("messages", "message"):
        assert not missing(pages[page], TEXT), page


LOOKUPS = {
    "messages": """
        body__regex body body__startswith recipient__startswith recipient_reversed__startswith
        recipient custom__phone created_by__password__startswith created_by__id__exact
        key__contains total_price__gt resend_of__body__contains callbacks__payload__contains
        state__exact state__in id__in fingerprint
    """,
    "callbacks": "payload__contains message__body__regex message__id",
    "suspensions": "scope__contains created_by__password__startswith",
    "suppressions": "recipient__startswith recipient reason__regex",
}


@pytest.mark.parametrize("name", slow_unless("everything".__eq__, ["do not send", "everything"]))
@pytest.mark.parametrize(
    ("page", "lookup"), [(page, each) for page, names in LOOKUPS.items() for each in names.split()]
)
def test_no_undeclared_filter_is_accepted_from_anybody(history, client, page, lookup):
    assert client.get(addresses(history)[page], {lookup: "1"}).status_code == 400


def test_nothing_is_done_without_the_csrf_token(history, smsoutbox):
    strict = browser_of(staff(*SETS["everything"]), enforce_csrf_checks=True)
    before = everything_there_is()
    for page, address in addresses(history).items():
        row = history.rows.get(page.partition(" ")[0], history.message)
        form = FORM | {"_selected_action": row.pk}
        assert strict.post(address, form).status_code == 403, page
    assert everything_there_is() == before
    assert smsoutbox == []


@pytest.mark.parametrize("name", ["everything"])
def test_no_address_does_anything_by_its_query(history, smsoutbox, client):
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
    client = browser_of(staff(*VIEW))
    answer = client.get(LIST, {"q": typed, "period": "today"})
    assert answer.context["cl"].result_count == rows


def test_a_field_that_is_no_key_does_not_open_a_page(history):
    address = admin_url("message_change", NUMBER)
    answer = browser_of(staff(*VIEW)).get(address, {"_to_field": "recipient"})
    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["?o=2", "?o=-2", "?_facets=True", "?all=", "?_popup=1"])
def test_the_switches_of_the_list_tell_nothing(history, query):
    answer = browser_of(staff(*VIEW)).get(LIST + query)
    assert answer.status_code == 200
    assert answer.context["cl"].queryset.query.order_by == ("-pk",)
    assert missing(answer, NUMBER)
