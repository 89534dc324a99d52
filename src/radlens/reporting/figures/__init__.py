"""The plots of the report, drawn from evidence alone."""
