"""Linux control groups as files, as the kernel writes them."""

from __future__ import annotations

from pathlib import Path


def write_groups(root: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A mounted tree of control groups, and the file that names those of the process."""
    for name, content in files.items():
        path = root / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "cgroup").write_text(own)
    return root / "mounted", root / "cgroup"
