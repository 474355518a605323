"""The actions on messages: resend, refresh, cancel and settle."""
