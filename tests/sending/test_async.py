"""Sending from asynchronous code."""

import asyncio
import json
import threading
from types import ModuleType

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import DatabaseError, connection, transaction
from django.http import JsonResponse
from django.test import AsyncClient
from django.urls import path

from django_smsww import SMSUnavailable, State, asend_mass_sms, asend_sms
from django_smsww.models import Message

from ..conftest import NUMBER, raises

OTHER = "+34600000000"
PATIENCE = 10
pytestmark = pytest.mark.django_db(transaction=True)


async def one(request):
    message = await asend_sms("Hello", NUMBER)
    return JsonResponse({"states": [message.state]})


async def many(request):
    messages = await asend_mass_sms("Hello", [NUMBER, OTHER])
    return JsonResponse({"states": [message.state for message in messages]})


@pytest.fixture(autouse=True)
def urls(settings):
    settings.ROOT_URLCONF = ModuleType("urls_of_async_views")
    settings.ROOT_URLCONF.urlpatterns = [path("one/", one), path("many/", many)]


class Pause:
    """An answer of the gateway that does not come before it is let go."""

    def __init__(self, answer):
        self.answer, self.began, self.go = answer, threading.Event(), threading.Event()

    def __call__(self, sms):
        self.began.set()
        assert self.go.wait(PATIENCE), "nothing else went on meanwhile"
        return self.answer(sms)

    async def end(self):
        """Let it go once it is waited for. Only a loop that is not blocked comes to do this."""
        while not self.began.is_set():
            await asyncio.sleep(0.01)
        self.go.set()


@pytest.mark.parametrize(("view", "count"), [("/one/", 1), ("/many/", 2)])
def test_a_view_does_not_block_the_loop_while_it_sends(gateway, view, count):
    pause = Pause(gateway.answer)
    gateway.answer = pause

    async def visit():
        response, _ = await asyncio.gather(AsyncClient().get(view), pause.end())
        return response.json()

    assert async_to_sync(visit)() == {"states": ["NEW"] * count}


def test_two_requests_of_one_server_send_at_the_same_time(gateway):
    if not connection.features.test_db_allows_multiple_connections:
        pytest.skip("threads that share a database in memory do not wait for its locks")
    both, answer = threading.Barrier(2), gateway.answer

    def meet(sms):
        both.wait(PATIENCE)
        return answer(sms)

    gateway.answer = staticmethod(meet)
    application = get_asgi_application()

    async def visit():
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/one/",
            "headers": [],
            "query_string": b"",
        }
        visitor = ApplicationCommunicator(application, scope)
        await visitor.send_input({"type": "http.request"})
        await visitor.receive_output(PATIENCE)
        body = await visitor.receive_output(PATIENCE)
        await visitor.wait(PATIENCE)
        return json.loads(body["body"])

    async def visits():
        return await asyncio.gather(visit(), visit())

    assert asyncio.run(visits()) == [{"states": ["NEW"]}] * 2


def test_an_outcome_is_raised_where_it_is_awaited(gateway):
    gateway.answer = raises(SMSUnavailable())
    with pytest.raises(SMSUnavailable) as caught:
        async_to_sync(asend_sms)("Hello", NUMBER)
    assert caught.value.message.state == State.FAILED


def test_a_fault_of_the_database_does_not_end_who_tells_of_another_fault(gateway):
    def spoil(execute, sql, *args):
        return execute(sql.replace("INTO", "IN TWO"), *args)

    async def alert():
        try:
            raise ConnectionError("the shop is away")
        except ConnectionError:
            with pytest.raises(DatabaseError):
                await asend_sms("The shop is away", NUMBER)
        return "answered"

    with connection.execute_wrapper(spoil):
        assert async_to_sync(alert)() == "answered"


def test_a_transaction_around_asynchronous_code_holds_the_message_back(gateway):
    with transaction.atomic():
        message = async_to_sync(asend_sms)("Hello", NUMBER)
        assert (message.state, gateway.sent) == (State.QUEUED, [])
    message.refresh_from_db()
    assert message.state == State.NEW
    with transaction.atomic():
        async_to_sync(asend_mass_sms)("Hello", [NUMBER, OTHER])
        transaction.set_rollback(True)
    assert len(gateway.sent) == Message.objects.count() == 1


def test_a_request_that_is_given_up_does_not_lose_what_is_being_sent(gateway):
    pause = Pause(gateway.answer)
    gateway.answer = pause

    async def give_up():
        task = asyncio.create_task(asend_sms("Hello", NUMBER))
        while not pause.began.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        await pause.end()
        await asyncio.gather(task, return_exceptions=True)

    async_to_sync(give_up)()
    assert Message.objects.get().state == State.NEW
