"""Templates filled in: one HTML file each, which no request leaves, so that it opens the same anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from radlens.base.version import __version__


def render(name: str, context: Mapping[str, Any]) -> str:
    """Fill in a template of this folder; whatever is not our markup is shown as text."""
    loader = PackageLoader("radlens.reporting", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["capitalize_first"] = lambda text: str(text)[:1].upper() + str(text)[1:]
    environment.filters["breakable"] = _breakable
    css = loader.get_source(environment, "report.css")[0]
    return environment.get_template(name).render(context, css=Markup(css), version=__version__) + "\n"


def _breakable(name: str) -> Markup:
    """A file name that may be broken after a separator."""
    return Markup(re.sub(r"(?<=[_\-/])(?=[^_\-/])", "<wbr>", str(escape(name))))
