"""The public contract of backends: ours keep it, and it finds the faults of others."""

import sys
import unittest
from contextlib import nullcontext
from types import ModuleType

import pytest
from django.test import SimpleTestCase

from django_smsww import SendResult, SMSUnavailable
from django_smsww.backends import console, dummy, filebased, locmem, openapi
from django_smsww.backends.base import BaseSMSBackend
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.testing import SMSBackendTestMixin

from ..support import guides


def run(backend, mixin=SMSBackendTestMixin, **options):
    """Return the result of the contract's tests, and the names of those that failed."""
    attributes = {"backend_class": backend, "options": options}
    case = type("Contract", (mixin, SimpleTestCase), attributes)
    return run_case(case)


def run_case(case):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    wrong = [*result.failures, *result.errors]
    return result, sorted(test._testMethodName.removeprefix("test_") for test, _ in wrong)


@pytest.mark.parametrize("module", [console, dummy, filebased, locmem])
def test_local_backends_keep_the_contract(module, tmp_path, capsys):
    options = {"file_path": tmp_path} if module is filebased else {}
    result, wrong = run(module.SMSBackend, **options)
    assert (result.testsRun, wrong) == (12, [])


def test_the_backend_of_the_gateway_keeps_all_of_the_contract(monkeypatch):
    with SimulatorProcess() as simulator:
        options = {"token": "t", "host": simulator.url}
        assert run(openapi.SMSBackend, **options)[1] == []


@pytest.fixture
def guide(monkeypatch):
    """Run the blocks of the guide as the modules of a project, and return the last one."""
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    backend, _view, tests = guides.blocks_of("../CONTRIBUTING.md")
    for name, block in {"mysite.backends": backend, "mysite.tests": tests}.items():
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(sys.modules["mysite"], name.partition(".")[2], module, raising=False)
        exec(compile(block, "CONTRIBUTING.md", "exec"), vars(module))
    return sys.modules["mysite.tests"]


def test_the_backend_of_the_guide_keeps_the_contract(guide):
    result, wrong = run_case(guide.BackendTests)
    assert wrong == []
    assert len(result.skipped) == 3  # it has no dry run and no look-ups


class Fine(BaseSMSBackend):
    def send(self, sms):
        return SendResult(provider_id=f"id-{sms.reference}", state="NEW")


class TakesNoOptions(Fine):
    def __init__(self, *, alias=None):
        super().__init__(alias=alias)


class SwallowsOptions(Fine):
    def __init__(self, *, alias=None, **options):
        super().__init__(alias=alias)


class NumbersAllAlike(Fine):
    def send(self, sms):
        return SendResult(provider_id="1", state="NEW")


class ReturnsNoId(Fine):
    def send(self, sms):
        return SendResult(state="NEW")


class IgnoresDeadline(Fine):
    def send_messages(self, messages, *, deadline=None):
        return [self.send(sms) for sms in messages]


class PaysForDryRuns(Fine):
    supports_dry_run = True


class InventsRecords(Fine):
    def fetch(self, provider_id):
        return SendResult(provider_id=provider_id)


FAULTS = {
    Fine: set(),
    TakesNoOptions: {
        "options_of_every_backend_are_taken",
        "unknown_option_is_refused",
    },
    SwallowsOptions: {"options_of_every_backend_are_taken", "unknown_option_is_refused"},
    NumbersAllAlike: {"many_messages_leave_in_threads_with_ids_of_their_own"},
    ReturnsNoId: {
        "accepted_message_has_an_id",
        "many_messages_leave_in_threads_with_ids_of_their_own",
    },
    IgnoresDeadline: {"nothing_starts_after_the_deadline"},
    PaysForDryRuns: {"dry_run_has_no_id"},
    InventsRecords: {"sent_message_can_be_looked_up"},
}


@pytest.mark.parametrize("backend", FAULTS)
def test_the_contract_finds_the_fault(backend):
    assert set(run(backend)[1]) == FAULTS[backend]


@pytest.mark.parametrize(
    ("hook", "name"),
    [
        ("unreachable", "unreachable_provider_certainly_sent_nothing"),  # its error has the number
        ("interrupted", "interrupted_request_leaves_the_outcome_unknown"),
    ],
)
def test_an_error_that_is_not_certain_or_holds_the_number_is_found(hook, name):
    class Careless(Fine):
        def send(self, sms):
            raise SMSUnavailable(detail=sms.recipient)

    mixin = type("Mixin", (SMSBackendTestMixin,), {hook: lambda self: nullcontext()})
    assert name in run(Careless, mixin)[1]
