"""How much memory there is for this process."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

_MOUNTED = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# By the version of the kernel's interface.
_LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")


def usable_memory() -> int | None:
    """Bytes that this process may use: the machine's, or fewer where a container or a service is limited.

    None where the system does not say.
    """
    sizes = [size for size in (machine_memory(), control_group_limit(_MOUNTED, _OWN_GROUPS)) if size is not None]
    return min(sizes, default=None)


def machine_memory() -> int | None:
    """Bytes of memory that the machine has; None where the system does not say, as on Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def control_group_limit(mounted: Path, own_groups: Path) -> int | None:
    """The smallest limit of the Linux control groups that this process is in (admin-guide/cgroup-v2, cgroup-v1/memory).

    Args:
        mounted: where control groups are mounted.
        own_groups: the file that names the groups of the process.

    Returns:
        Bytes; None where nothing is limited.
    """
    try:
        lines = own_groups.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    limits = []
    for line in lines:
        _, controllers, name = (*line.split(":", 2), "", "")[:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        root = mounted / "memory" if controllers else mounted
        own = PurePosixPath("/") / name
        for group in (own, *own.parents):
            limits += [limit for file in _LIMIT_FILES if (limit := _limit(root / group.relative_to("/") / file))]
    return min(limits, default=None)


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    # "max" in place of a number: no limit.
    return int(text) if text.isdecimal() else None
