"""A stretch of time in words."""


def duration(seconds: float) -> str:
    """`12 s`, `3 min`, `2 h 5 min`, `4 d 6 h`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
