"""ASGI: pages and API through Django, sockets through Channels."""

from __future__ import annotations

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telemetry_site.settings")
# WhiteNoise hands Django open files; they are small, hashed and cached by browsers.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")
_django = get_asgi_application()

# Models can be imported only after the line above.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from realtime.routing import websocket_urlpatterns  # noqa: E402
from telemetry_site.garbage import leave_alone_what_is_here  # noqa: E402
from telemetry_site.guard import refuse_wrong_key  # noqa: E402

refuse_wrong_key()
application = ProtocolTypeRouter(
    {
        "http": _django,
        "websocket": AllowedHostsOriginValidator(
            # The stubs know only patterns that Channels has rewritten.
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))  # type: ignore[arg-type]
        ),
    }
)

_ = get_resolver().url_patterns
leave_alone_what_is_here()
