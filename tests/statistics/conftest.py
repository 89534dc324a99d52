"""Manifests, probabilities and predictions of every task."""

from __future__ import annotations

from evidence_fixtures import manifest_of, predictions_of, probabilities_for

__all__ = ["manifest_of", "predictions_of", "probabilities_for"]
