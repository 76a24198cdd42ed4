"""Prints the addresses of a cluster's living nodes, as a line of JSON, whenever they change: argument: its address."""

import json
import sys
import time

import ray

ray.init(address=sys.argv[1], log_to_driver=False)
last = None
while True:
    alive = sorted(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"])
    if alive != last:
        print(json.dumps(alive), flush=True)
    last = alive
    time.sleep(0.3)
