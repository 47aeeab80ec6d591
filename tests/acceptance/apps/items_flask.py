"""A Flask service that knows nothing of Pitstop. Every answer names the process that gave it."""

import os

from flask import Flask, Response, abort, jsonify

app = Flask(__name__)
ITEMS = 1000


@app.after_request
def name_process(response: Response) -> Response:
    response.headers["X-Pid"] = str(os.getpid())
    return response


@app.get("/items/<int:item_id>")
def item(item_id: int) -> Response:
    if item_id >= ITEMS:
        abort(404)
    return jsonify(item_id=item_id)


@app.post("/items")
def add() -> tuple[Response, int]:
    return jsonify(added=True), 201


@app.get("/broken")
def broken() -> Response:
    raise RuntimeError("an honest mistake of the service")
