"""The report: one HTML file that needs nothing beside itself."""

from radlens.assessment.report.content import Augmented, ReportContent
from radlens.assessment.report.render import render_report, write_report

__all__ = ["Augmented", "ReportContent", "render_report", "write_report"]
