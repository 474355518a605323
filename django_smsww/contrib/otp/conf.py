"""The settings of the app `contrib.otp`."""

from typing import Any

from django.conf import settings as project

DEFAULTS: dict[str, Any] = {
    "OTP_SMSWW_USING": "default",
    "OTP_SMSWW_BODY_TEMPLATE_PATH": "django_smsww/code.txt",
    "OTP_SMSWW_TOKEN_LENGTH": 6,
    "OTP_SMSWW_TOKEN_VALIDITY": 300,
    "OTP_SMSWW_COOLDOWN_DURATION": 60,
    "OTP_SMSWW_THROTTLE_FACTOR": 1,
    "OTP_SMSWW_MAX_PER_NUMBER": (5, 3600),
    "OTP_SMSWW_MAX_PER_USER": (10, 3600),
}


class OTPSettings:
    """The project's settings, with defaults. Each access reads the setting again."""

    def __getattr__(self, name: str) -> Any:
        if name not in DEFAULTS:
            raise AttributeError(f"There is no setting {name!r}.")
        return getattr(project, name, DEFAULTS[name])


settings = OTPSettings()
