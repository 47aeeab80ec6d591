"""Hearing of trouble before the users complain: objectives, rules, incidents, and who is told."""
