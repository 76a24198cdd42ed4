"""Which metrics a query of Prometheus names."""

import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w:$.])([a-zA-Z_:][\w:]*)(\s*\()?")
_WORDS = {"and", "or", "unless", "atan2", "bool", "offset", "by", "without", "on", "ignoring", "inf", "nan"} | {
    "group_left",
    "group_right",
    "start",
    "end",
}


def metric_names(query: str) -> set[str]:
    """Names that stand for series: no functions, labels, strings, ranges, words of the language or Grafana's variables.

    `{__name__="x"}` names none here.
    """
    bare = _STRING.sub("", query)
    bare = re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]", " ", bare)
    bare = _GROUPING.sub(" ", bare)
    return {name for name, call in _NAME.findall(bare) if not call and name.lower() not in _WORDS}
