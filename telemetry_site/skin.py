"""The admin's colours: the site's blue and greys (`static/css/tokens.css`), light to dark."""

from __future__ import annotations

from django.http import HttpRequest
from django.templatetags.static import static


def icon(request: HttpRequest) -> str:
    """The address of the site's icon, for the browser's tab."""
    return static("img/mark.svg")


COLORS = {
    "primary": {
        "50": "oklch(97.2% .011 222)",
        "100": "oklch(94.9% .016 221.1)",
        "200": "oklch(89.5% .035 222)",
        "300": "oklch(83.5% .072 223)",
        "400": "oklch(77.8% .101 223.4)",
        "500": "oklch(63% .105 226)",
        "600": "oklch(45.4% .086 228.5)",
        "700": "oklch(40% .077 229)",
        "800": "oklch(35% .062 229)",
        "900": "oklch(29.3% .043 229.1)",
        "950": "oklch(23% .034 230)",
    },
    "base": {
        "50": "oklch(97.2% .003 248)",
        "100": "oklch(95.9% .006 240)",
        "200": "oklch(91.9% .009 243)",
        "300": "oklch(86% .014 243)",
        "400": "oklch(72% .028 243)",
        "500": "oklch(54% .03 243)",
        "600": "oklch(45% .029 243)",
        "700": "oklch(37% .027 243)",
        "800": "oklch(30.7% .024 246)",
        "900": "oklch(22.3% .017 248.6)",
        "950": "oklch(17.9% .013 248.6)",
    },
}
