"""The change view of a message: its advice and its timeline."""
