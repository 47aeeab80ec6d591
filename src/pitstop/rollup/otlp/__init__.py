"""OTLP export: what is written to the store goes to an OpenTelemetry collector, too, where the settings name one."""
