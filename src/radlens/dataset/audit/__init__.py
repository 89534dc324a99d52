"""The audit of a set of images: what is wrong, or worth knowing, before a model is trained on it."""

from radlens.dataset.audit.findings import CHECKS, Audit, Finding
from radlens.dataset.audit.inspect import audit

__all__ = ["CHECKS", "Audit", "Finding", "audit"]
