"""How much memory there is for this process."""

from __future__ import annotations

import os
from pathlib import Path

from radlens.base.control_groups import MOUNTED, OWN_GROUPS, groups_of

# By the version of the kernel's interface.
_LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")


def usable_memory() -> int | None:
    """Bytes that this process may use: the machine's, or fewer where a container or a service is limited.

    None where the system does not say.
    """
    sizes = [size for size in (machine_memory(), control_group_limit(MOUNTED, OWN_GROUPS)) if size is not None]
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
    limits = (_limit(group / file) for group in groups_of("memory", mounted, own_groups) for file in _LIMIT_FILES)
    return min((limit for limit in limits if limit), default=None)


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    # "max" in place of a number: no limit.
    return int(text) if text.isdecimal() else None
