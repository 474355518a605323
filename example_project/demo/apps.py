from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Shows how a project uses the package: a receiver, and the command `demo`."""

    name = "demo"

    def ready(self) -> None:
        """Connect the receivers."""
        from . import receivers  # noqa: F401  importing connects them
