"""What the console knows. Pure: no I/O, no clock, no asyncio."""
