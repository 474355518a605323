"""The history, and sending, over REST: `include("django_smsww.contrib.api.urls")`.

The viewsets are public: override `get_queryset()` to narrow down what a user reaches.
"""
