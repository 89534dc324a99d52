"""From scores to evidence: metrics, intervals, figures and the report. Knows no network."""
