"""A simulator of the gateway: a separate process with its own store, and no code of the client.

It speaks the HTTP of the gateway's specification 1.2.7, and accepts every request that the gateway
would accept, each time that it arrives: so its ledger judges the accounting of a client. Nothing
leaves the machine. Start it with ``manage.py smsww_simulator`` or
``python -m django_smsww.contrib.simulator``; from tests and scripts with
``django_smsww.contrib.simulator.process.SimulatorProcess``.
"""
