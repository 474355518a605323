"""The worker: lease rows, admit them, send them, and write the results down."""
