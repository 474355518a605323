"""The SMSWW setting, through `sms_backends`."""

import pytest

from django_smsww import InvalidSMSBackend, SMSBackendDoesNotExist, sms_backends
from django_smsww.backends import dummy, locmem

LOCMEM = "django_smsww.backends.locmem.SMSBackend"
DUMMY = "django_smsww.backends.dummy.SMSBackend"


def resolve_tenant(alias):
    """A resolver as a project would write it."""
    return {"BACKEND": LOCMEM, "OPTIONS": {"sender": alias}} if alias.startswith("Acme") else None


@pytest.fixture
def two_aliases(settings):
    settings.SMSWW = {
        "default": {"BACKEND": LOCMEM, "OPTIONS": {"sender": "Acme"}},
        "alerts": {"BACKEND": DUMMY},
    }


def test_alias_gives_a_new_backend_with_its_options(two_aliases):
    backend = sms_backends["default"]
    assert (type(backend), backend.alias, backend.sender) == (locmem.SMSBackend, "default", "Acme")
    assert sms_backends["default"] is not backend
    assert sms_backends.default.alias == "default"


def test_it_is_a_mapping_of_the_aliases(two_aliases):
    assert list(sms_backends) == ["default", "alerts"]
    assert ("alerts" in sms_backends, "nobody" in sms_backends) == (True, False)
    assert isinstance(sms_backends.get("alerts"), dummy.SMSBackend)
    assert (sms_backends.get("nobody"), sms_backends.get("nobody", 5)) == (None, 5)


def test_a_changed_setting_counts_at_once(two_aliases, settings):
    settings.SMSWW = {"default": {"BACKEND": DUMMY}}
    assert isinstance(sms_backends["default"], dummy.SMSBackend)


def test_unknown_alias_is_named(two_aliases):
    with pytest.raises(SMSBackendDoesNotExist, match="'nobody' is not configured") as caught:
        sms_backends["nobody"]
    assert isinstance(caught.value, KeyError)


def test_entry_without_backend_is_the_gateway(settings):
    settings.SMSWW = {"default": {"OPTIONS": {"token": "a-token"}}}
    assert type(sms_backends["default"]).__module__ == "django_smsww.backends.openapi"


def of_locmem(**options):
    return {"BACKEND": LOCMEM, "OPTIONS": options}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("console", "must be a dict with BACKEND and OPTIONS"),
        ({"BACKEND": LOCMEM, "OPTION": {}}, "Unknown key 'OPTION'. Did you mean 'OPTIONS'?"),
        ({"BACKEND": LOCMEM, "token": "t"}, "Unknown key 'token'. Options belong into OPTIONS."),
        ({"BACKEND": LOCMEM, "OPTIONS": ["sender"]}, "OPTIONS must be a dict"),
        ({"BACKEND": LOCMEM, "OPTIONS": {1: 2}}, "OPTIONS must be a dict with names as keys"),
        ({"BACKEND": locmem.SMSBackend}, "BACKEND must be the dotted path of a class"),
        ({"BACKEND": "nowhere.Backend"}, "BACKEND 'nowhere.Backend' cannot be imported"),
        ({"BACKEND": f"{LOCMEM}s"}, "cannot be imported"),
        ({"BACKEND": "pathlib.Path"}, "must be a subclass of BaseSMSBackend"),
        (of_locmem(alias="x"), "OPTIONS must not define 'alias'"),
        (of_locmem(sendr="Acme", callback_uri=""), "Unknown options 'sendr', 'callback_uri'."),
        (of_locmem(sendr="Acme", callback_uri=""), " Did you mean 'sender', 'callback_url'?"),
        (of_locmem(zzz=1), "Unknown options 'zzz'."),
        (of_locmem(aliass=1), "Unknown options 'aliass'."),
        ({"OPTIONS": {"token": "t", "calback_url": ""}}, "Did you mean 'callback_url'?"),
    ],
)
def test_error_names_the_alias_and_the_mend(settings, entry, text):
    settings.SMSWW = {"alerts": entry}
    with pytest.raises(InvalidSMSBackend) as caught:
        sms_backends["alerts"]
    assert str(caught.value).startswith("SMSWW['alerts']: ")
    assert text in str(caught.value)
    assert "mean 'alias'" not in str(caught.value)


@pytest.mark.parametrize("value", [resolve_tenant, "tests.backends.test_handler.resolve_tenant"])
def test_resolver_finds_the_entry_of_an_alias(settings, value):
    settings.SMSWW = value
    assert sms_backends["Acme one"].sender == "Acme one"
    assert "Acme two" in sms_backends
    assert "nobody" not in sms_backends


def raise_key_error(alias):
    raise KeyError(alias)


@pytest.mark.parametrize("value", [None, resolve_tenant, raise_key_error])
def test_alias_that_nobody_knows_does_not_exist(settings, value):
    settings.SMSWW = value
    if value is None:
        del settings.SMSWW
    assert list(sms_backends) == []
    with pytest.raises(SMSBackendDoesNotExist):
        sms_backends["nobody"]


def test_aliases_of_a_resolver_are_listed_only_if_it_offers_them(settings):
    def resolver(alias):
        return {"BACKEND": DUMMY}

    settings.SMSWW = resolver
    assert list(sms_backends) == []
    resolver.aliases = lambda: ["one", "two"]
    assert list(sms_backends) == ["one", "two"]


@pytest.mark.parametrize("value", [["default"], 5, "nowhere.resolve", "django_smsww.__version__"])
def test_setting_that_is_neither_dict_nor_resolver_is_refused(settings, value):
    settings.SMSWW = value
    with pytest.raises(InvalidSMSBackend, match="SMSWW"):
        sms_backends["default"]
