"""The exporters: one subject a file, each with ``families(facts)``. Found by `pitstop.dashboard.export.registry`.

Names are OpenTelemetry's semantic conventions, as Prometheus writes them, where those have one; else ``pitstop_…``.
"""
