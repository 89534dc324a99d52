"""How many cores a process may keep busy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from made_control_groups import write_groups
from radlens.base import cpu as cores
from radlens.base.cpu import available_cores, quotas


@pytest.mark.parametrize(
    ("groups", "files", "wanted"),
    [
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, [1.5], id="a container, version 2"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, [], id="no limit"),
        pytest.param("0::/\n", {}, [], id="the root group, which has no such file"),
        pytest.param(
            "0::/system.slice/radlens.service\n",
            {"system.slice/radlens.service/cpu.max": "max 100000\n", "system.slice/cpu.max": "400000 100000\n"},
            [4.0],
            id="the group above, version 2",
        ),
        pytest.param(
            "5:cpuset:/\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
            {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n", "cpuset/cpu.max": "1 1"},
            [2.0],
            id="a container, version 1: its group is mounted as the root",
        ),
        pytest.param(
            "4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            [],
            id="no limit, version 1",
        ),
        pytest.param("0::/\n", {"cpu.max": "\n"}, [], id="an empty file"),
        pytest.param("strange\n", {}, [], id="a line of another form"),
    ],
)
def test_quotas_of_control_groups(groups: str, files: dict[str, str], wanted: list[float], tmp_path: Path) -> None:
    assert list(quotas(*write_groups(tmp_path, groups, files))) == wanted


def test_no_quota_without_control_groups(tmp_path: Path) -> None:
    assert list(quotas(tmp_path, tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("quota", "asked", "wanted"),
    [
        ("max 100000", "", 8),
        ("250000 100000", "", 3),
        ("50000 100000", "", 1),
        ("1600000 100000", "", 8),
        ("max 100000", "2", 2),
        ("100000 100000", "2", 1),
        ("max 100000", "64", 8),
        ("max 100000", "0", 8),
        ("max 100000", "many", 8),
    ],
)
def test_the_least_of_all_limits(
    quota: str, asked: str, wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted, own = write_groups(tmp_path, "0::/\n", {"cpu.max": quota})
    monkeypatch.setattr(cores, "MOUNTED", mounted)
    monkeypatch.setattr(cores, "OWN_GROUPS", own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert available_cores() == wanted


def test_without_affinity_the_cores_of_the_machine_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cores, "OWN_GROUPS", tmp_path / "none")
    for count, wanted in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert available_cores() == wanted
