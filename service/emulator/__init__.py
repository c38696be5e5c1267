"""A local platform for development, tests and the demo: real HTTP, real bytes, faults on request."""
