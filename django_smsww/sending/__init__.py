"""Store messages, and send them."""
