"""The pages on which a person writes messages."""
