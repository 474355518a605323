"""A simulator of the SMS gateway, for development and tests.

It runs as a separate process with its own store, and uses no code of the package's gateway client.
It implements the gateway's specification 1.2.7 over HTTP. If a client repeats a request, the
simulator accepts the message again, as the gateway does. So its list of accepted messages shows
whether a client sent a message twice. The simulator sends no SMS, and posts callbacks only to this
machine. To start it, use ``manage.py smsww_simulator`` or
``python -m django_smsww.contrib.simulator``. Tests use ``process.SimulatorProcess``.
"""
