"""From evidence to a page: the report and the audit's page, each an HTML file that needs no other file."""

from radlens.reporting.audit_page import render_audit_page, write_audit_page
from radlens.reporting.content import Augmented, ReportContent
from radlens.reporting.render import render_report, write_report

__all__ = ["Augmented", "ReportContent", "render_audit_page", "render_report", "write_audit_page", "write_report"]
