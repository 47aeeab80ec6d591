"""``python -m pitstop`` is ``pitstop``."""

from pitstop.cli import main

main()
