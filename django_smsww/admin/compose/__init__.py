"""The admin pages to write and send messages."""
