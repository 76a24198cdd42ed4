// The page: a question in, steps as they arrive, an answer out.

import { ask } from "./ask.js";
import { byId, count, el } from "./dom.js";
import {
  addToHistory, clearHistory, clearPending, forgetKey, readHistory, readKey, readPending, setKey, setPending,
} from "./history.js";
import { hideNotice, showNotice } from "./notice.js";
import { createSteps } from "./steps.js";

const NO_ANSWER = {
  step_limit: "The steps were used up before an answer was found.",
  empty_answer: "The student ended without naming an answer.",
  null: "The time was up before an answer was found.",
};
const field = byId("question");
const steps = createSteps(byId("steps"));
let running = null;
let shown = null;

const status = (text) => {
  byId("status").textContent = text;
};

const live = {
  step_started(data) {
    steps.start(data);
    status(data.query ? `Step ${data.step}: looking passages up …` : `Step ${data.step}: asking for the answer …`);
  },
  passages(data) {
    steps.passages(data);
    status(`Step ${data.step}: ${count(data.passages.length, "new passage")}, writing …`);
  },
  rationale: steps.rationale,
  step_finished: steps.finish,
  step_restarted(data) {
    steps.restart(data);
    status(`Step ${data.step} is done again, since a part of the service failed …`);
  },
};

async function run(question) {
  if (running) return;
  const mine = (running = new AbortController());
  begin(question);
  try {
    const answer = await ask(question, readKey(), mine.signal, live);
    clearPending();
    addToHistory(answer);
    listHistory();
    steps.settle();
    showAnswer(answer);
  } catch (error) {
    steps.settle();
    if (mine.signal.aborted) stopped();
    else refused(error, question);
  } finally {
    running = null;
    busy(false);
  }
}

function begin(question) {
  setPending(question);
  hideNotice();
  byId("key-form").hidden = true;
  shown = null;
  steps.clear();
  byId("asked").textContent = question;
  byId("answer").replaceChildren();
  byId("after").hidden = true;
  byId("result").hidden = false;
  status("Asking …");
  busy(true);
}

function busy(is) {
  byId("verdict").classList.toggle("running", is);
  byId("result").setAttribute("aria-busy", String(is));
  const hadFocus = document.activeElement === byId(is ? "send" : "stop");
  byId("send").hidden = is;
  byId("stop").hidden = !is;
  if (hadFocus) byId(is ? "stop" : "send").focus();
}

function stopped() {
  clearPending();
  status("Stopped.");
}

function refused(error, question) {
  if (!byId("steps").childElementCount) byId("result").hidden = true;
  status("No answer.");
  // What the connection lost is offered again after a reload as well.
  if (error.type !== "network" && error.type !== "cut") clearPending();
  if (error.status === 401) return askForKey(error);
  const useless = error.status === 422 || error.status === 413 || error.type === "unanswerable";
  showNotice(error.message, { seconds: error.retryAfter ?? 0, again: useless ? null : () => run(question) });
}

function askForKey(error) {
  if (readKey()) showNotice(error.message);
  forgetKey();
  byId("forget").hidden = true;
  byId("key-form").hidden = false;
  byId("key").value = "";
  byId("key").focus();
}

function showAnswer(answer) {
  shown = answer;
  const found = Boolean(answer.answer);
  const text = found ? answer.answer : NO_ANSWER[answer.stop] ?? `No answer (${answer.stop}).`;
  byId("answer").replaceChildren(el("p", { class: found ? "found" : "none" }, text), ...remarks(answer));
  byId("after").hidden = false;
  status(found ? "Answer" : "No answer");
  const { usage, timings } = answer;
  byId("figures").textContent =
    `${count(answer.steps.length, "step")} · ${timings.total_s.toFixed(1)} s · ` +
    `${usage.prompt_tokens.toLocaleString("en")} tokens read, ${usage.completion_tokens.toLocaleString("en")} written`;
  byId("copy").textContent = "Copy as JSON";
}

function remarks(answer) {
  const text = remark(answer);
  return text ? [el("p", { class: "remark" }, text)] : [];
}

function remark({ answer, partial, steps: done, stop }) {
  if (partial && !answer) return `What was found until then is below: ${count(done.length, "step")}.`;
  if (partial) return "The time was up: this is the best answer so far.";
  return stop === "forced_answer" ? "The steps were used up: the answer was asked for all the same." : "";
}

function showStored(answer) {
  if (running) return;
  hideNotice();
  byId("asked").textContent = answer.question;
  byId("result").hidden = false;
  steps.showAll(answer);
  showAnswer(answer);
  byId("asked").focus();
}

function listHistory() {
  const entries = readHistory();
  byId("history").hidden = entries.length === 0;
  byId("history-list").replaceChildren(
    ...entries.map(({ at, answer }) => {
      const time = el("time", { datetime: new Date(at).toISOString() }, new Date(at).toLocaleString());
      const button = el("button", { type: "button" }, el("span", { class: "asked" }, answer.question));
      button.append(el("span", { class: "answered" }, answer.answer || "No answer"), time);
      button.addEventListener("click", () => showStored(answer));
      return el("li", {}, button);
    }),
  );
}

async function copy() {
  const text = JSON.stringify(shown, null, 2);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // no clipboard outside https and localhost
  }
  byId("copy").textContent = "Copied";
  setTimeout(() => (byId("copy").textContent = "Copy as JSON"), 2000);
}

function copyBySelection(text) {
  const area = el("textarea", { class: "away", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  byId("copy").focus();
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = field.value.trim();
  if (question) run(question);
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("ask").requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setKey(byId("key").value.trim());
  byId("key").value = "";
  byId("forget").hidden = false;
  field.focus();
  hideNotice();
  byId("key-form").hidden = true;
  if (field.value.trim()) run(field.value.trim());
});
byId("forget").addEventListener("click", () => {
  forgetKey();
  byId("forget").hidden = true;
  field.focus();
});
byId("stop").addEventListener("click", () => running?.abort());
byId("copy").addEventListener("click", copy);
byId("clear").addEventListener("click", () => {
  clearHistory();
  listHistory();
  field.focus();
});

listHistory();
byId("forget").hidden = !readKey();
field.focus();
const pending = readPending();
if (pending) {
  field.value = pending;
  showNotice("The page was left before this question was answered.", { again: () => run(pending) });
}
