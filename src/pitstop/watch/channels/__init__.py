"""How a notification reaches people: one file a kind of channel."""
