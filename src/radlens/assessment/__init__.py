"""From predictions to evidence: evaluation, calibration, operating points, subgroups, comparison. Knows no network."""
