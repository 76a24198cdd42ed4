"""Asks a service two questions a second, and ends when the last is answered: arguments: its address, how many.

Prints a line of JSON for each: when it was asked, how long the answer took, its status (0: the connection broke).
"""

import json
import sys
import threading
import time

import httpx


def ask(number: int) -> None:
    asked = time.time()
    try:
        answer = httpx.post(f"{sys.argv[1]}/v1/answer", json={"question": f"Where lies town {number}?"}, timeout=60)
        status = answer.status_code
    except httpx.TransportError:
        status = 0
    # One write, since others print as well.
    sys.stdout.write(json.dumps({"asked": asked, "took": round(time.time() - asked, 1), "status": status}) + "\n")


for number in range(int(sys.argv[2])):
    threading.Thread(target=ask, args=(number,)).start()
    time.sleep(0.5)
