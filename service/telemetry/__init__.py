"""Logs and metrics, which every layer may write to, and keeping secrets out of them."""
