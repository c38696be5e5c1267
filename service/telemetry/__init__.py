"""What every layer may write to: the catalogues of metrics and of log events."""
