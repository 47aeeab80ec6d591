"""Static files as fast as Python serves them: from memory, precompressed, before any middleware.

app = StaticFiles(app, "static", prefix="/static/")    # WSGIStaticFiles for Flask and Django
"""

from pitstop.tune.static.precompress import precompress
from pitstop.tune.static.serving import StaticFiles, WSGIStaticFiles

__all__ = ["StaticFiles", "WSGIStaticFiles", "precompress"]
