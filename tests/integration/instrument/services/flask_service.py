"""A Flask service with a route, an error and a blueprint."""

import sys

from flask import Blueprint, Flask, Response

app = Flask(__name__)
blueprint = Blueprint("v1", __name__, url_prefix="/v1")


@app.get("/items/<int:item_id>")
def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}


@app.get("/fail")
def fail() -> Response:
    return Response("down", status=503)


@blueprint.get("/users/<name>")
def user(name: str) -> str:
    return name


app.register_blueprint(blueprint)

if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
