"""Values as YAML that reads back as they were."""

from __future__ import annotations

from typing import Any

import yaml

# PyYAML writes these line breaks as they are where it writes letters so, and reads them back as spaces.
_BREAKS = ("\\x85", "\\u2028", "\\u2029")


def dump_yaml(values: dict[str, Any], width: int = 80) -> str:
    r"""Values in their order, letters of any language as they are.

    Args:
        values: of the plain types that YAML knows.
        width: columns after which a line is broken.

    >>> dump_yaml({"classes": ["fără", "pneumonie"]})
    'classes:\n- fără\n- pneumonie\n'
    """
    plain = not any(mark in repr(values) for mark in _BREAKS)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=plain, width=width)
