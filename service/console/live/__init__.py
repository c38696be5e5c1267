"""Tells viewers what has changed, as server-sent events."""
