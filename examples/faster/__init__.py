"""A slow service made fast, a step at a time, each measured by Pitstop: `python examples/faster/measure.py`."""
