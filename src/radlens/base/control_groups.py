"""The Linux control groups that this process lies in, which limit what it may use of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MOUNTED = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def groups_of(controller: str, mounted: Path, own_groups: Path) -> Iterator[Path]:
    """The folders of the process's own group and of those that it lies in, in both versions of the kernel's interface.

    Linux kernel documentation, admin-guide/cgroup-v2 and admin-guide/cgroup-v1.

    Args:
        controller: of version 1, such as ``cpu``; a group of version 2 has all controllers.
        mounted: where control groups are mounted.
        own_groups: the file that names the groups of the process; where it cannot be read, there are none.
    """
    try:
        lines = own_groups.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, controllers, name = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        root = mounted / controller if controllers else mounted
        own = PurePosixPath("/") / name
        for group in (own, *own.parents):
            yield root / group.relative_to("/")
