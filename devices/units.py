"""Units: which spellings mean the same unit, and how values convert. Pure.

Factors are exact by definition (SI Brochure 9th ed.; NIST SP 811 appendix B for inch, gallon, psi).
"""

from __future__ import annotations

from typing import NamedTuple


class Conversion(NamedTuple):
    """target value = received value x factor + shift."""

    factor: float
    shift: float


class _Unit(NamedTuple):
    dimension: str
    factor: float  # to the dimension's base unit
    shift: float = 0.0


_UNITS: dict[str, _Unit] = {
    "mm": _Unit("length", 0.001),
    "cm": _Unit("length", 0.01),
    "m": _Unit("length", 1.0),
    "km": _Unit("length", 1000.0),
    "in": _Unit("length", 0.0254),
    "ft": _Unit("length", 0.3048),
    "mL": _Unit("volume", 1e-6),
    "L": _Unit("volume", 0.001),
    "m³": _Unit("volume", 1.0),
    "gal": _Unit("volume", 0.003785411784),
    "L/min": _Unit("flow", 0.001 / 60),
    "L/s": _Unit("flow", 0.001),
    "L/h": _Unit("flow", 0.001 / 3600),
    "m³/h": _Unit("flow", 1 / 3600),
    "°C": _Unit("temperature", 1.0, 273.15),
    "K": _Unit("temperature", 1.0),
    "°F": _Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "W": _Unit("power", 1.0),
    "kW": _Unit("power", 1000.0),
    "MW": _Unit("power", 1e6),
    "Wh": _Unit("energy", 1.0),
    "kWh": _Unit("energy", 1000.0),
    "MWh": _Unit("energy", 1e6),
    "mV": _Unit("voltage", 0.001),
    "V": _Unit("voltage", 1.0),
    "mA": _Unit("current", 0.001),
    "A": _Unit("current", 1.0),
    "Pa": _Unit("pressure", 1.0),
    "hPa": _Unit("pressure", 100.0),
    "kPa": _Unit("pressure", 1000.0),
    "bar": _Unit("pressure", 1e5),
    "psi": _Unit("pressure", 6894.757293168361),
    "%": _Unit("ratio", 0.01),
    "s": _Unit("time", 1.0),
    "min": _Unit("time", 60.0),
    "h": _Unit("time", 3600.0),
    "Hz": _Unit("frequency", 1.0),
    "ppm": _Unit("parts", 1.0),
    "pH": _Unit("pH", 1.0),
    "NTU": _Unit("turbidity", 1.0),
    "µS/cm": _Unit("conductivity", 1.0),
    "dBm": _Unit("signal", 1.0),
    "lx": _Unit("light", 1.0),
}

_SPELLINGS: dict[str, str] = {
    "centimeter": "cm", "centimetre": "cm", "centimeters": "cm", "centimetres": "cm", "cms": "cm",
    "meter": "m", "metre": "m", "meters": "m", "metres": "m", "mtr": "m",
    "millimeter": "mm", "millimetre": "mm", "inch": "in", "inches": "in", "feet": "ft",
    "foot": "ft",
    "l": "L", "liter": "L", "litre": "L", "liters": "L", "litres": "L", "ltr": "L", "lt": "L",
    "ml": "mL", "m3": "m³", "cubic meter": "m³", "cubic metre": "m³", "gallon": "gal",
    "gallons": "gal", "lpm": "L/min", "l/min": "L/min", "l/m": "L/min", "lps": "L/s", "l/s": "L/s",
    "lph": "L/h", "l/h": "L/h", "m3/h": "m³/h", "m³/hr": "m³/h", "m3/hr": "m³/h",
    "c": "°C", "°c": "°C", "degc": "°C", "deg c": "°C", "ºc": "°C", "celsius": "°C",
    "celcius": "°C", "centigrade": "°C", "f": "°F", "°f": "°F", "degf": "°F", "deg f": "°F",
    "ºf": "°F", "fahrenheit": "°F", "kelvin": "K", "watt": "W", "watts": "W", "w": "W",
    "kw": "kW", "kilowatt": "kW", "mw": "MW", "wh": "Wh", "kwh": "kWh", "units": "kWh",
    "volt": "V", "volts": "V", "v": "V", "mv": "mV", "amp": "A", "amps": "A", "ampere": "A",
    "a": "A", "ma": "mA", "pa": "Pa", "hpa": "hPa", "mbar": "hPa", "kpa": "kPa", "percent": "%",
    "pct": "%", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "mins": "min",
    "minute": "min", "minutes": "min", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "hz": "Hz", "hertz": "Hz", "ph": "pH", "ntu": "NTU", "us/cm": "µS/cm", "μs/cm": "µS/cm",
    "dbm": "dBm", "lux": "lx", "lx": "lx",
}  # fmt: skip


def canonical(text: str) -> str | None:
    """The unit's one spelling here («Celsius» gives «°C»), or None when it is not known."""
    stripped = text.strip()
    if stripped in _UNITS:
        return stripped
    lowered = stripped.lower()
    known = _SPELLINGS.get(lowered)
    if known is not None:
        return known
    return lowered if lowered in _UNITS else None


def conversion(source: str, target: str) -> Conversion | None:
    """How a value in `source` becomes one in `target`; None when the two do not compare.

    Two equal texts always convert (also units unknown here, and no unit at all).
    """
    if source == target:
        return Conversion(1.0, 0.0)
    names = canonical(source), canonical(target)
    if names[0] is None or names[1] is None:
        return None
    origin, goal = _UNITS[names[0]], _UNITS[names[1]]
    if origin.dimension != goal.dimension:
        return None
    if names[0] == names[1]:
        return Conversion(1.0, 0.0)
    return Conversion(origin.factor / goal.factor, (origin.shift - goal.shift) / goal.factor)


def siblings(unit: str) -> list[str]:
    """The other units of the same dimension, in their one spelling; none for an unknown unit."""
    name = canonical(unit)
    if name is None:
        return []
    dimension = _UNITS[name].dimension
    return [other for other, one in _UNITS.items() if one.dimension == dimension and other != name]


_OVER_TIME = {
    "L/min": ("L", "min"), "L/s": ("L", "s"), "L/h": ("L", "h"), "m³/h": ("m³", "h"),
    "W": ("Wh", "h"), "kW": ("kWh", "h"), "MW": ("MWh", "h"),
}  # fmt: skip
"""What a flow or a power is an amount of, in one unit of which time."""


def integral(unit: str) -> tuple[str, float] | None:
    """What a quantity in `unit` adds up to over time: its unit, and how much one `unit` held for
    one second is of it. L/min gives litres, kW gives kWh; None where nothing with a name comes out.
    """
    name = canonical(unit)
    if name is None or name not in _OVER_TIME:
        return None
    amount, time = _OVER_TIME[name]
    return amount, 1 / _UNITS[time].factor


def rate_per_hour(unit: str) -> str:
    """The unit of a change in an hour: L gives L/h, kWh gives kW, cm gives cm/h."""
    amount = canonical(unit) or ""
    known = {pair: rate for rate, pair in _OVER_TIME.items()}
    return known.get((amount, "h"), f"{unit}/h")
