"""Asks a service one question after the other, and prints for each a line of JSON: argument: its address."""

import json
import sys
import time

import httpx

for number in range(10_000):
    asked = time.time()
    try:
        answer = httpx.post(f"{sys.argv[1]}/v1/answer", json={"question": f"Where lies town {number}?"}, timeout=60)
        status, kind = answer.status_code, answer.json().get("error", {}).get("type", "")
    except httpx.TransportError as error:
        status, kind = 0, type(error).__name__
    print(json.dumps({"asked": asked, "answered": time.time(), "status": status, "kind": kind}), flush=True)
    time.sleep(0.2)
