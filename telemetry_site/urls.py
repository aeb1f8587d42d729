"""All addresses of the site; each app brings its own."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from devices import api as devices_api
from devices.alerts import api as alerts_api
from devices.readings import api as readings_api
from ingestion import api as ingestion_api
from ingestion import health
from ingestion.explaining import api as explaining_api
from ingestion.gaps import api as completeness_api


def nothing_here(request: HttpRequest, **_: str) -> HttpResponse:
    """An address of a library that is not offered here."""
    raise Http404


api = [
    *devices_api.urlpatterns,
    *readings_api.urlpatterns,
    *alerts_api.urlpatterns,
    *ingestion_api.urlpatterns,
    *completeness_api.urlpatterns,
    *explaining_api.urlpatterns,
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api"),
]

handler500 = "devices.readings.away.failed"
urlpatterns = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    # Django's «view on site» finds any row for any staff; our pages link to dashboards directly.
    path("admin/r/<path:row>", nothing_here),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api)),
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("", include("realtime.urls")),
]
