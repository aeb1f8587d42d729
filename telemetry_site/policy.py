"""Content policy by path: strict everywhere, relaxed only where vendored pages need it."""

from __future__ import annotations

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# The admin skin runs Alpine, which evaluates expressions; the API page sets style attributes.
_RELAXED = {
    "/admin/": {
        "script-src": [SELF, UNSAFE_EVAL, UNSAFE_INLINE],
        "style-src": [SELF, UNSAFE_INLINE],
    },
    "/api/": {"style-src": [SELF, UNSAFE_INLINE]},
}


class ContentPolicyMiddleware(CSPMiddleware):
    """django-csp's middleware, with the relaxed parts chosen by path."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Add the policy header, relaxed for the paths in `_RELAXED`."""
        for path, directives in _RELAXED.items():
            if request.path.startswith(path):
                response._csp_replace = directives  # type: ignore[attr-defined]
        answer: HttpResponseBase = super().process_response(request, response)
        return answer
