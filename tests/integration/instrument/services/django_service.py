"""A Django project in one file: settings, routes with an include and a regular expression, both handlers."""

import os

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path, re_path

SECRET_KEY = "of a test"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_service"
STATIC_URL = "/static/"
INSTALLED_APPS = ["django.contrib.staticfiles"]
USE_TZ = True


def item(_request: HttpRequest, item_id: int) -> JsonResponse:
    return JsonResponse({"id": item_id})


def fail(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("down", status=503)


def user(_request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(name)


urlpatterns = [
    path("items/<int:item_id>", item),
    path("fail", fail),
    path("v1/", include([re_path(r"^users/(?P<name>\w+)$", user)])),
]


def _handler(kind: str) -> object:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_service")
    if kind == "asgi":
        from django.core.asgi import get_asgi_application  # noqa: PLC0415  needs settings

        return get_asgi_application()
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415  needs settings

    return get_wsgi_application()


def __getattr__(name: str) -> object:
    if name in {"asgi", "wsgi"}:
        return _handler(name)
    raise AttributeError(name)
