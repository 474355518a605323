"""A REST API that sends messages and shows the history of messages.

Add the API to your URLs with `include("django_smsww.contrib.api.urls")`.
"""
