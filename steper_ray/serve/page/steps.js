// The list of steps: filled event by event, or at once from an answer.

import { count, el } from "./dom.js";
import { marked, wordsOf } from "./highlight.js";

export function createSteps(list) {
  let steps = new Map();

  function clear() {
    steps = new Map();
    list.replaceChildren();
  }

  function start({ step, query }) {
    if (steps.has(step)) return restart({ step });
    const view = {
      query: el("p", { class: "query" }, query ? query : "No search: the answer is asked for with what was found."),
      found: el("div", { class: "passages" }),
      rationale: el("p", { class: "rationale", "aria-busy": "true" }),
      passages: [],
    };
    view.title = el("h3", {}, query ? `Step ${step}` : `Step ${step}, without a search`);
    view.node = el("li", { class: "running" }, view.title, view.query, view.found, view.rationale);
    steps.set(step, view);
    list.append(view.node);
  }

  function passages({ step, passages: found }) {
    const view = steps.get(step);
    if (!view) return;
    const heading = found.length ? count(found.length, "new passage") : "No new passage";
    view.passages = found.map(passageOf);
    view.found.replaceChildren(el("h4", {}, heading), ...view.passages.map((passage) => passage.node));
  }

  function rationale({ step, text }) {
    steps.get(step)?.rationale.append(document.createTextNode(text));
  }

  function restart({ step }) {
    const view = steps.get(step);
    if (!view) return;
    view.rationale.replaceChildren();
    view.rationale.setAttribute("aria-busy", "true");
    view.node.className = "running";
  }

  function finish({ step, query, rationale: text }) {
    const view = steps.get(step);
    if (!view) return;
    if (query) view.query.replaceChildren(document.createTextNode(query));
    view.rationale.replaceChildren(document.createTextNode(text));
    view.rationale.removeAttribute("aria-busy");
    view.node.className = "";
    const words = wordsOf(text);
    for (const passage of view.passages) passage.mark(words);
  }

  function showAll(answer) {
    clear();
    answer.steps.forEach((step, index) => {
      start({ step: index + 1, query: step.query });
      passages({ step: index + 1, passages: step.passages });
      finish({ step: index + 1, query: step.query, rationale: step.rationale });
    });
  }

  // What was left unfinished is no longer on its way.
  function settle() {
    for (const view of steps.values()) {
      if (view.node.classList.contains("running")) view.title.append(", not finished");
      view.node.classList.remove("running");
      view.rationale.removeAttribute("aria-busy");
    }
  }

  return { clear, start, passages, rationale, restart, finish, showAll, settle };
}

function passageOf({ title, text, score }) {
  const body = el("p", { class: "text" }, text);
  const chip = el("span", { class: "score", title: "Score of the search" }, Number(score).toFixed(1));
  const hits = el("span", { class: "hits" });
  const summary = el("summary", {}, el("span", { class: "title" }, title || "Untitled"), hits, chip);
  const node = el("details", {}, summary, body);

  function mark(words) {
    body.replaceChildren(...marked(text, words));
    const taken = new Set([...body.querySelectorAll("mark")].map((found) => found.textContent.toLowerCase())).size;
    hits.replaceChildren(document.createTextNode(taken ? `${count(taken, "word")} in the rationale` : ""));
    node.classList.toggle("used", taken > 0);
  }

  return { node, mark };
}
