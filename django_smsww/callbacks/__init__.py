"""The way back in: the gateway's delivery callbacks."""
