"""The one way out: calls to addresses that somebody typed in, which must not reach what is private."""
