"""Asks a service two questions a second, and prints for each answer a line of JSON: argument: its address."""

import json
import sys
import threading
import time

import httpx


def ask(number: int) -> None:
    asked = time.time()
    try:
        answer = httpx.post(f"{sys.argv[1]}/v1/answer", json={"question": f"Where lies town {number}?"}, timeout=90)
        status = answer.status_code
    except httpx.TransportError:
        status = 0
    # One write, since others print as well.
    sys.stdout.write(json.dumps({"asked": asked, "took": round(time.time() - asked, 1), "status": status}) + "\n")


for number in range(10_000):
    threading.Thread(target=ask, args=(number,), daemon=True).start()
    time.sleep(0.5)
