"""The command line: parse first, import the phase afterwards, so that `--help` answers at once.

Exit codes: 0 done; 1 a phase failed and can be continued; 2 bad input, nothing was started; 3 the machine or cluster
lacks something; 130 interrupted by Ctrl-C; 143 ended by SIGTERM, as `ray job stop` sends it.
"""

from steper_ray.cli.command import main

__all__ = ["main"]
