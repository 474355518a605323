"""The gateway's delivery callbacks."""
