"""Code of the worker, which leases queued rows, sends their messages, and stores the results."""
