"""What the page of one message explains."""
