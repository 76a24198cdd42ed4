// One question to the service, and its events as they arrive.

import { readEvents } from "./events.js";

export class Refusal extends Error {
  // type: the service's own word, or "network" (not reached), "cut" (ended in the middle).
  constructor(type, message, status = 0, retryAfter = null) {
    super(message);
    Object.assign(this, { type, status, retryAfter });
  }
}

// Calls on[event name](data) for each event; resolves with the answer's JSON, raises a Refusal.
export async function ask(question, key, signal, on) {
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await reached(() =>
    fetch("v1/answer/stream", { method: "POST", headers, body: JSON.stringify({ question }), signal }),
  );
  if (!response.ok) throw await refusal(response);
  return reached(() => follow(response, on));
}

async function follow(response, on) {
  for await (const { name, data } of readEvents(response.body)) {
    if (name === "answer") return data;
    if (name === "error") throw new Refusal(data.error.type, data.error.message, 200);
    on[name]?.(data);
  }
  throw new Refusal("cut", "The answer ended in the middle.");
}

async function reached(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("network", "The service cannot be reached, or the connection was lost.");
  }
}

async function refusal(response) {
  let said = {};
  try {
    said = (await response.json()).error ?? {};
  } catch {
    // A proxy in between answers in its own words.
  }
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const message = said.message ?? `The service answered with status ${response.status}.`;
  return new Refusal(said.type ?? "http", message, response.status, Number.isNaN(seconds) ? null : seconds);
}
