"""The provider's HTTP API: requests, JSON, errors and signatures."""
