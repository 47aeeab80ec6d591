"""What Pitstop knows, for the tools that people run already: Prometheus in its three forms, remote write, Grafana.

One registry of exporters (`families/`, a file each) makes families of metrics; whatever writes them (`text`,
`protobuf`, `remote`) knows nothing of where they come from.
"""

from pitstop.dashboard.export.exposition import Exposition

__all__ = ["Exposition"]
