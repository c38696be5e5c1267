"""A worker that every file crashes."""

from __future__ import annotations

import os
import signal
import sys

sys.stdin.buffer.readline()
os.kill(os.getpid(), signal.SIGSEGV)
