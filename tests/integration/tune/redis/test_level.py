"""The Redis level against a real server, in both colours."""
