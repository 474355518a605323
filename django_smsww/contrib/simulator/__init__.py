"""A local stand-in of the gateway: its own process, its own store, no code of the client.

It speaks the HTTP of the gateway's specification 1.2.7 and accepts every request that the gateway
would accept, twice if it is sent twice: so it can say afterwards who was really messaged. Nothing
leaves the machine. Start it with ``manage.py smsww_simulator`` or
``python -m django_smsww.contrib.simulator``; from tests and scripts with
``django_smsww.contrib.simulator.process.SimulatorProcess``.
"""
