"""The memory of the machine, and the limits of control groups as both versions of the kernel's interface write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_control_groups import write_groups
from radlens.base.memory import control_group_limit, machine_memory, usable_memory


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "2000\n"}, 2000),
        ("0::/a/b\n", {"a/b/memory.max": "1000\n", "a/memory.max": "2000\n"}, 1000),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("5:cpu:/x\n4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "3000\n", "x/memory.max": "1\n"}, 3000),
        ("5:cpu:/x\n", {"memory/x/memory.limit_in_bytes": "3000\n"}, None),
        ("nonsense", {}, None),
    ],
)
def test_the_smallest_limit_counts(own: str, limits: dict[str, str], expected: int | None, tmp_path: Path) -> None:
    assert control_group_limit(*write_groups(tmp_path, own, limits)) == expected


def test_without_control_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert control_group_limit(tmp_path, tmp_path / "none") is None


def test_the_memory_of_this_machine_is_what_the_kernel_says() -> None:
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        pytest.skip("the kernel of another system says it elsewhere")
    (line,) = (line for line in meminfo.read_text().splitlines() if line.startswith("MemTotal:"))
    total = machine_memory()
    assert total is not None
    assert total == pytest.approx(1024 * int(line.split()[1]), rel=0.05)
    usable = usable_memory()
    assert usable is not None
    assert 0 < usable <= total
