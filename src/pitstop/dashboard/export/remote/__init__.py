"""Prometheus remote write, 1.0 and 2.0: for receivers that cannot scrape us."""
