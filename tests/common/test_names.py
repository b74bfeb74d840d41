"""Names of tasks cut to a length."""

import pytest

from sklearn_mmoe._common.names import short_names


def test_names_are_cut_in_the_middle():
    assert short_names(["short", "a" * 20 + "b" * 20], length=11) == ["short", "aaaaa…bbbbb"]
    assert short_names(["x" * 11, "x" * 12], length=11) == ["x" * 11, "xxxxx…xxxxx"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a" * 20 + "1" + "b" * 20, "a" * 20 + "2" + "b" * 20], ["…aaaa1bbbb…", "…aaaa2bbbb…"]),
        (["within_7_days_of_it", "within_30_days_of_it"], ["within_7_d…", "within_30_…"]),
        (["a" * 20 + "1" + "b" * 7, "a" * 20 + "2" + "b" * 7], ["…aa1bbbbbbb", "…aa2bbbbbbb"]),
    ],
)
def test_names_that_would_become_alike_keep_what_tells_them_apart(names, expected):
    assert short_names(names, length=11) == expected


def test_names_that_no_cut_tells_apart_stay_longer():
    apart_at_two_places = [f"{first}{'b' * 9}{last}{'b' * 9}" for first, last in ("xx", "yx", "xy")]
    assert short_names(apart_at_two_places, length=8) == ["xbbbbbbbbbx…", "ybbbbbbbbbx…", "xbbbbbbbbby…"]
    assert short_names(["a" * 30, "a" * 30], length=11) == ["aaaaa…aaaaa"] * 2
    assert short_names([]) == []
