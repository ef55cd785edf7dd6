"""Beats closer together than an event loop's timers, which know whole milliseconds only.

A kernel timer that can be waited for like a socket (``timerfd_create(2)``). Python has it from 3.13
on; until then it is asked of the C library.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("first", _Timespec))


class Metronome:
    """Calls ``beat`` every so many seconds, in the running loop; beats that were missed are one.

    Raises ``OSError`` where the system has none to give.
    """

    def __init__(self, seconds: float, beat: Callable[[], None]) -> None:
        if seconds <= 0:
            raise ValueError("a beat takes some time")  # the kernel would never tell the first
        self._loop = asyncio.get_running_loop()
        self._beat = beat
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "no timer")
        each = _Timespec(int(seconds), int(seconds % 1 * 1e9))
        libc.timerfd_settime(self._fd, 0, ctypes.byref(_Timer(each, each)), None)
        self._loop.add_reader(self._fd, self._due)

    def stop(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _due(self) -> None:
        os.read(self._fd, 8)
        self._beat()
