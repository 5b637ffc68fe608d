"""The report of a run, and the page of an evaluation: what was learned, what goes wrong and why, what each layer makes of a picture."""

from pellucid.train.report.page import evaluation_page, report_page

__all__ = ["evaluation_page", "report_page"]
