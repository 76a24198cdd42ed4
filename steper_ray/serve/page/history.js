// Earlier answers, kept in this browser; and the question on its way, kept in this tab.

const HISTORY = "steper.history";
const PENDING = "steper.pending";
const KEY = "steper.key";
const MOST = 30;

// Storage may be switched off, full, or hold another program's values: the page works without it.
function attempt(work, otherwise) {
  try {
    return work();
  } catch {
    return otherwise;
  }
}

export function readHistory() {
  const entries = attempt(() => JSON.parse(localStorage.getItem(HISTORY) ?? "[]"), []);
  return Array.isArray(entries) ? entries.filter((entry) => Array.isArray(entry?.answer?.steps)) : [];
}

export function addToHistory(answer) {
  const entries = [{ at: Date.now(), answer }, ...readHistory()].slice(0, MOST);
  while (entries.length && !attempt(() => (localStorage.setItem(HISTORY, JSON.stringify(entries)), true), false)) {
    entries.pop();
  }
}

export const clearHistory = () => attempt(() => localStorage.removeItem(HISTORY));

export const readPending = () => attempt(() => sessionStorage.getItem(PENDING), null);
export const setPending = (question) => attempt(() => sessionStorage.setItem(PENDING, question));
export const clearPending = () => attempt(() => sessionStorage.removeItem(PENDING));

let keptKey = "";
export const readKey = () => attempt(() => sessionStorage.getItem(KEY), null) ?? keptKey;
export function setKey(key) {
  keptKey = key;
  attempt(() => sessionStorage.setItem(KEY, key));
}
export function forgetKey() {
  keptKey = "";
  attempt(() => sessionStorage.removeItem(KEY));
}
