"""Parts that make a service fast: cache, database, HTTP, memory, waves. Each reports what it gains to the recorder.

Nothing here is imported by a host that only records. A part imports the library it is for (redis, SQLAlchemy, httpx …)
where it is used, and says which to install where that is missing.
"""
