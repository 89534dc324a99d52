"""The version of radlens; in a module of its own, so that no room needs to import the whole package for it."""

__version__ = "0.1.0"
