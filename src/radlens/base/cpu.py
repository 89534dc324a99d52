"""How many processor cores there are for this process."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from radlens.base.control_groups import MOUNTED, OWN_GROUPS, groups_of


def available_cores() -> int:
    """The cores that this process may keep busy: fewer than the machine has where somebody says so.

    That is a scheduler or ``taskset`` by the process's affinity, a container (``docker run --cpus 2``) or a service by
    the quota of a Linux control group, of which a part of a core counts as one, or a user by ``OMP_NUM_THREADS``.
    More threads than that would wait for each other.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").strip()
    if asked.isdecimal() and int(asked):
        cores = min(cores, int(asked))
    return min([cores, *map(math.ceil, quotas(MOUNTED, OWN_GROUPS))])


def quotas(mounted: Path, own_groups: Path) -> Iterator[float]:
    """How many cores' time each control group that this process is in may use, as far as one is limited.

    The process's own group and those that it lies in count (Linux kernel documentation, admin-guide/cgroup-v2 and
    scheduler/sched-bwc).

    Args:
        mounted: where control groups are mounted.
        own_groups: the file that names the groups of the process.
    """
    for group in groups_of("cpu", mounted, own_groups):
        yield from _quota(group)


def _quota(group: Path) -> Iterator[float]:
    """Cores' time of one group; nothing where there is no limit."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = map(int, " ".join((group / name).read_text() for name in names).split())
        except (OSError, ValueError):
            # No such file, or "max" in place of a number.
            continue
        if quota > 0 and period > 0:
            yield quota / period
