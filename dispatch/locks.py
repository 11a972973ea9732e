"""Locks for what is made once in a process, and for all of its threads."""

import os
import threading


def lock_for_all():
    """A reentrant lock that a fork waits for.

    A child has none of the parent's other threads: what one of them was at would remain half done for ever, and its
    locks closed. So the thread that forks takes the lock first, and the child finds it open.

    Returns
    -------
    threading.RLock
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock
