"""Errors, files, progress, processor cores, environment, version: what every room needs."""
