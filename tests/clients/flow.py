"""What the flows share: where the daemon is, and how a step says what it found wrong.

Each flow is run by tests/tests/clients.rs against a daemon of its own, with ASHLAR_URL and a member's and an
administrator's token in the environment. The clients are those of PyPI, unmodified.
"""

import os
import time

URL = os.environ["ASHLAR_URL"]
PROJECT = os.environ["ASHLAR_PROJECT"]
MEMBER = os.environ["ASHLAR_MEMBER_TOKEN"]
ADMIN = os.environ["ASHLAR_ADMIN_TOKEN"]
ENDPOINT = f"{URL}/v3/{PROJECT}"
IMPORT = os.environ["ASHLAR_IMPORT"]
MAXIMUM = os.environ["ASHLAR_MAXIMUM"]

CONNECTOR = {
    "initiator": "iqn.1993-08.org.debian:01:ashlar-host1",
    "host": "host1",
    "ip": "127.0.0.1",
    "platform": "x86_64",
    "os_type": "linux",
    "multipath": False,
}


def same(found, wanted, about):
    """Demands that two values are equal."""
    if found != wanted:
        raise AssertionError(f"{about}: {found!r} instead of {wanted!r}")


def holds(is_so, about):
    """Demands that something is so."""
    if not is_so:
        raise AssertionError(about)


def until(look, about, deadline_s=30):
    """Looks until there is something to see."""
    end = time.monotonic() + deadline_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s} s in vain: {about}")
        time.sleep(0.02)


def refused(kind, call, about):
    """Demands that a call is refused with this exception."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{about} was not refused")
