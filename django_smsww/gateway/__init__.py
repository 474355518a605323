"""The provider's language: HTTP, JSON, errors and signatures."""
