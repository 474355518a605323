"""A project with the packages that this one joins."""

from importlib.util import find_spec

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS, MIDDLEWARE

ROOT_URLCONF = "tests.ecosystem.urls"
# The suite that starts these tests has a test database by its own name.
DATABASES["default"]["TEST"] = {"NAME": "test_smsww_ecosystem"}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {}

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "django_smsww.contrib.otp",
    "two_factor",
    "two_factor.plugins.phonenumber",
    "django_filters",
    "drf_spectacular",
]
MIDDLEWARE = [
    *MIDDLEWARE,
    "django_otp.middleware.OTPMiddleware",
    "two_factor.middleware.threadlocals.ThreadLocals",
]
LOGIN_URL = "two_factor:login"
LOGIN_REDIRECT_URL = "two_factor:profile"
TWO_FACTOR_SMS_GATEWAY = "django_smsww.contrib.two_factor.SMSGateway"
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}

# These are extras of the developers. Without one of them its tests are skipped.
if find_spec("allauth"):
    INSTALLED_APPS += ["allauth", "allauth.account", "tests.ecosystem.people"]
    MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]
    AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        "allauth.account.auth_backends.AuthenticationBackend",
    ]
    INSTALLED_APPS += ["allauth.headless"]
    ACCOUNT_ADAPTER = "tests.ecosystem.people.adapter.AccountAdapter"
    ACCOUNT_LOGIN_METHODS = {"phone", "username"}
    ACCOUNT_SIGNUP_FIELDS = ["phone", "username*", "password1*", "password2*"]
    ACCOUNT_LOGIN_BY_CODE_ENABLED = True
if find_spec("debug_toolbar"):
    INSTALLED_APPS += ["debug_toolbar"]
    MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware", *MIDDLEWARE]
    DEBUG_TOOLBAR_CONFIG = {
        "IS_RUNNING_TESTS": False,
        "SHOW_TOOLBAR_CALLBACK": lambda request: "X-Toolbar" in request.headers,
    }
if find_spec("drf_standardized_errors"):
    INSTALLED_APPS += ["drf_standardized_errors"]
