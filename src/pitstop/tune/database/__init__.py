"""Databases behind SQLAlchemy (≥ 2.0): sane engines, plans that explain themselves, indexes, views, upkeep."""
