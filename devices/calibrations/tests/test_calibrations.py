"""Calibrations: exact at their points, never a jump, never more than the tank holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from devices.calibrations import (
    Beyond,
    Box,
    Calibration,
    Cone,
    DepthTable,
    Ends,
    HorizontalCylinder,
    Linear,
    Mounted,
    Shape,
    Table,
    TwoPoint,
    Unsuitable,
    UprightCylinder,
    points_of,
)
from devices.calibrations.curves import text_of

numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda number: round(number, 3))
lengths = st.floats(1, 5000).map(lambda length: round(length, 1))
points = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=20, unique_by=lambda p: p[0])
depth_points = st.lists(st.floats(0.5, 1e3), min_size=1, max_size=10).map(
    lambda steps: tuple(
        (sum(steps[: n + 1]), sum(s * (1 + k % 3) for k, s in enumerate(steps[: n + 1])))
        for n in range(len(steps))
    )
)
shapes: st.SearchStrategy[Shape] = st.one_of(
    st.builds(UprightCylinder, lengths, lengths),
    st.builds(HorizontalCylinder, lengths, lengths),
    st.builds(Box, lengths, lengths, lengths),
    st.builds(Cone, lengths, lengths, lengths),
    st.builds(Cone, st.just(0.0), lengths, lengths),
    st.builds(Cone, lengths, st.just(0.0), lengths),
    st.builds(DepthTable, depth_points.filter(lambda drawn: len(drawn) > 1)),
)
shares = st.floats(0, 1)


@given(numbers, numbers, numbers, numbers)
def test_two_points_are_met_exactly(
    raw_1: float, true_1: float, raw_2: float, true_2: float
) -> None:
    assume(abs(raw_1 - raw_2) > 1e-3 and true_1 != true_2)
    line = TwoPoint((raw_1, true_1), (raw_2, true_2))
    assert (line.apply(raw_1), line.apply(raw_2)) == (true_1, true_2)
    middle = line.apply((raw_1 + raw_2) / 2)
    assert middle == pytest.approx(
        (true_1 + true_2) / 2, abs=1e-6 * max(1, abs(true_1), abs(true_2))
    )


@given(points, st.sampled_from(Ends))
def test_a_table_meets_its_points_and_stays_between_them(
    drawn: list[tuple[float, float]], ends: Ends
) -> None:
    table = Table(tuple(drawn), ends)
    for raw, value in drawn:
        assert table.apply(raw) == value
    ordered = sorted(drawn)
    for (raw_1, true_1), (raw_2, true_2) in pairwise(ordered):
        between = table.apply((raw_1 + raw_2) / 2)
        slack = 1e-9 * (1 + abs(true_1) + abs(true_2))
        assert min(true_1, true_2) - slack <= between <= max(true_1, true_2) + slack


@given(points, st.floats(0.1, 1e3))
def test_outside_its_points_a_table_does_as_it_was_told(
    drawn: list[tuple[float, float]], beyond: float
) -> None:
    ordered = sorted(drawn)
    low, high = ordered[0][0] - beyond, ordered[-1][0] + beyond
    table = Table(tuple(drawn))
    for number in (low, high):
        with pytest.raises(Beyond, match="lies outside"):
            table.apply(number)
    held = Table(tuple(drawn), Ends.HOLD)
    assert (held.apply(low), held.apply(high)) == (ordered[0][1], ordered[-1][1])
    extended = Table(tuple(drawn), Ends.EXTEND)
    line = TwoPoint(*ordered[-2:]) if ordered[-2][1] != ordered[-1][1] else None
    if line:
        assert extended.apply(high) == pytest.approx(line.apply(high), rel=1e-6, abs=1e-6)
    assert math.isfinite(extended.apply(low))


@given(shapes)
def test_an_empty_tank_holds_nothing_and_a_full_one_its_capacity(shape: Shape) -> None:
    tank = Mounted(shape)
    assert shape.volume(0.0) == pytest.approx(0.0, abs=1e-9)
    assert tank.apply(shape.height_cm) == tank.capacity_l > 0
    assert math.isfinite(tank.capacity_l)


@given(shapes, shares, shares)
def test_more_depth_is_never_less_water(shape: Shape, one: float, other: float) -> None:
    low, high = sorted((one * shape.height_cm, other * shape.height_cm))
    slack = 1e-9 * Mounted(shape).capacity_l
    assert -slack <= shape.volume(low) <= shape.volume(high) + slack
    assert shape.volume(high) <= Mounted(shape).capacity_l + slack


@given(shapes, shares)
def test_the_volume_never_jumps(shape: Shape, share: float) -> None:
    depth, step = share * shape.height_cm, shape.height_cm * 1e-7
    difference = shape.volume(min(depth + step, shape.height_cm)) - shape.volume(depth)
    assert abs(difference) <= 1e-5 * Mounted(shape).capacity_l


@given(shapes, shares, st.sampled_from([1.0, 0.1, 100.0, 2.54]), st.floats(0, 50))
def test_a_sensor_on_top_and_one_in_the_water_agree(
    shape: Shape, share: float, to_cm: float, gap: float
) -> None:
    depth = share * shape.height_cm
    above = Mounted(shape, to_cm, from_top=True, gap_cm=gap)
    below = Mounted(shape, to_cm)
    distance = (shape.height_cm + gap - depth) / to_cm
    slack = 1e-6 * above.capacity_l
    assert above.apply(distance) == pytest.approx(below.apply(depth / to_cm), abs=slack)


def litres(calibration: Calibration, number: float) -> float:
    return round(calibration.apply(number), 1)


def test_tanks_that_somebody_measured() -> None:
    """By hand: a 1,000 litre tank, half a lying tank, a sump, a hopper, its twin upside down."""
    assert litres(Mounted(UprightCylinder(112.84, 100)), 100) == 1000.0
    lying = Mounted(HorizontalCylinder(100, 200))
    assert litres(lying, 50) == round(lying.capacity_l / 2, 1) == 785.4
    assert litres(lying, 25) == 307.1  # (pi/3 - sqrt(3)/4) r² x length
    assert litres(Mounted(Box(200, 150, 100)), 40) == 1200.0
    hopper = Mounted(Cone(0, 100, 100))
    assert litres(hopper, 50) == round(hopper.capacity_l / 8, 1)
    peaked = Mounted(Cone(100, 0, 100))
    assert litres(peaked, 50) == round(peaked.capacity_l * 7 / 8, 1)
    assert litres(Mounted(Cone(80, 80, 100)), 50) == litres(Mounted(UprightCylinder(80, 100)), 50)
    assert litres(Mounted(DepthTable(((50, 400), (100, 1000)))), 25) == 200.0
    assert litres(Mounted(Box(100, 100, 100), from_top=True, gap_cm=20), 70) == 500.0
    assert litres(Mounted(Box(100, 100, 100), gap_cm=5), 45) == 500.0


def test_a_level_just_beside_the_tank_is_empty_or_full_one_far_off_is_refused() -> None:
    tank = Mounted(Box(100, 100, 200))
    assert (tank.apply(-3), tank.apply(203)) == (0.0, 2000.0)
    for number in (-5, 205):
        with pytest.raises(Beyond, match="depth of the water"):
            tank.apply(number)
    held = Mounted(Box(100, 100, 200), ends=Ends.HOLD)
    assert (held.apply(-50), held.apply(900)) == (0.0, 2000.0)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Linear(0), "scale"),
        (lambda: Linear(math.nan), "scale"),
        (lambda: TwoPoint((1, 1), (1, 2)), "raw_2"),
        (lambda: TwoPoint((1, 2), (3, 2)), "true_2"),
        (lambda: Table(((1, 2),)), "points"),
        (lambda: Table(((1, 2), (1, 3))), "points"),
        (lambda: Table(tuple((n, n) for n in range(201))), "points"),
        (lambda: UprightCylinder(0, 10), "diameter_cm"),
        (lambda: HorizontalCylinder(10, -1), "length_cm"),
        (lambda: Box(1, 2, math.inf), "height_cm"),
        (lambda: Cone(-1, 1, 1), "bottom_diameter_cm"),
        (lambda: Cone(0, 0, 1), "top_diameter_cm"),
        (lambda: DepthTable(((10, 5), (20, 4))), "points"),
        (lambda: DepthTable(((-1, 5), (20, 40))), "points"),
        (lambda: Mounted(Box(1, 2, 3), gap_cm=-1), "gap_cm"),
        (lambda: Mounted(Box(1, 2, 3), gap_cm=3), "gap_cm"),
        (lambda: Mounted(Box(1, 2, 3), ends=Ends.EXTEND), "ends"),
        (lambda: points_of("1, 2\n3"), "points"),
        (lambda: points_of("1, 2, 3"), "points"),
        (lambda: points_of("1, nan"), "points"),
        (lambda: points_of("empty, 2"), "points"),
    ],
)
def test_nonsense_is_refused_at_the_entry_that_is_wrong(
    make: Callable[[], object], field: str
) -> None:
    with pytest.raises(Unsuitable) as refused:
        make()
    assert refused.value.field == field
    assert str(refused.value).endswith((".", "25.5"))


@given(points)
def test_what_is_written_as_points_is_read_again(drawn: list[tuple[float, float]]) -> None:
    assert points_of(text_of(drawn)) == tuple(drawn)


def test_points_are_read_as_people_write_them() -> None:
    text = "0, 0\n\n 412 ;25.5\n820\t51\r\n1000 62.5"
    assert points_of(text) == ((0, 0), (412, 25.5), (820, 51), (1000, 62.5))
