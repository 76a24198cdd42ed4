"""The tests' own reader of queries."""

import pytest

from tests.promql import metric_names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("up", {"up"}),
        ("a_total / b_total", {"a_total", "b_total"}),
        ("rate(a_total[5m])", {"a_total"}),
        ("sum by (phase, outcome) (rate(a_total[$__rate_interval])) * 60", {"a_total"}),
        ("sum(rate(a_total[5m])) by (le) and on (le) group_left (x) b", {"a_total", "b"}),
        (
            'histogram_quantile(0.95, sum by (le) (rate(a_seconds_bucket{run=~"$run",x="sum(b)"}[1h])))',
            {"a_seconds_bucket"},
        ),
        ('a{b="c\\"d"} unless ignoring(e) f offset 5m', {"a", "f"}),
        ("a{b='c'} or vector(0)", {"a"}),
        ("ray:a:rate5m > bool 1e3", {"ray:a:rate5m"}),
        ('{__name__=~"ray_.+"}', set()),
        ("$run + a", {"a"}),
        ("1 + 2", set()),
    ],
)
def test_the_metrics_of_a_query_are_found(query: str, names: set[str]) -> None:
    assert metric_names(query) == names
