"""Performance telemetry for Python web services."""
