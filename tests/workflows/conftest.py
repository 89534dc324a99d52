"""Models whose reasons are known, for the tests of what changes a mind."""

from __future__ import annotations

from made_stress import known_networks

__all__ = ["known_networks"]
