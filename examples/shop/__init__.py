"""A small shop, as people write them: it knows nothing of Pitstop, and some pages are slow for honest reasons."""
