// What went wrong, in words, and when another try makes sense.

import { byId } from "./dom.js";

let timer = 0;

// seconds: how long the service asked to wait; again: what the button does.
export function showNotice(text, { seconds = 0, again = null } = {}) {
  hideNotice();
  const button = byId("again");
  byId("notice").hidden = false;
  // Only this line is announced; the countdown runs on the button.
  byId("notice-text").textContent = text;
  button.hidden = again === null;
  button.onclick = again;
  countDown(button, seconds);
}

export function hideNotice() {
  clearInterval(timer);
  byId("notice").hidden = true;
  byId("notice-text").textContent = "";
}

function countDown(button, seconds) {
  const end = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? `Ask again in ${left} s` : "Ask again";
    if (left <= 0) clearInterval(timer);
  };
  timer = setInterval(tick, 250);
  tick();
}
