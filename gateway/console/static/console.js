// The keyboard, and what keeps a page fresh. Every page works without this script.
"use strict";

document.documentElement.classList.add("scripted");

const typing = (element) => element.matches("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
let sent = false; // one answer a page: a second key press must not answer the next item

document.addEventListener("submit", (event) => {
  if (sent) {
    event.preventDefault();
    return;
  }
  sent = true;
});
window.addEventListener("pageshow", () => { sent = false; });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    if (event.key === "Enter" && event.target.id === "label" && event.target.value !== "") {
      const pick = document.querySelector("button[value=pick]");
      if (pick) {
        event.preventDefault();
        pick.click();
      }
    }
    return;
  }
  if (event.key === "Enter" || event.key === " ") return; // belong to what has the focus
  if (event.key === "b") {
    const reveal = document.getElementById("reveal");
    if (reveal) reveal.checked = !reveal.checked;
    return;
  }
  if (event.key === "m") {
    const more = document.querySelector("details.more");
    if (more) {
      more.open = true;
      more.querySelector("textarea").focus();
      event.preventDefault();
    }
    return;
  }
  const key = CSS.escape(event.key);
  const focus = document.querySelector(`[data-focus="${key}"]`);
  if (focus) {
    focus.focus();
    event.preventDefault();
    return;
  }
  const toggle = document.querySelector(`[data-toggle="${key}"]`);
  if (toggle) {
    toggle.checked = !toggle.checked;
    return;
  }
  const button = document.querySelector(`button[data-key="${key}"]:not(:disabled)`);
  if (button) button.click();
});

// The offer to undo goes when it cannot be kept any more.
for (const form of document.querySelectorAll("form.undo")) {
  const end = Number(form.dataset.until) * 1000;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left <= 0) form.remove();
    else {
      form.querySelector(".left").textContent = `${left} s`;
      setTimeout(tick, 500);
    }
  };
  tick();
}

// Whoever looks at an item keeps it; a page that nobody looks at lets it go.
const work = document.querySelector("[data-lease]");
if (work) {
  let end = Date.now() + Number(work.dataset.left) * 1000;
  let asked = Date.now();
  const half = Number(work.dataset.left) * 500;
  const note = document.getElementById("lease");
  setInterval(async () => {
    const left = Math.round((end - Date.now()) / 1000);
    if (left <= 0) {
      note.textContent = "Your time with this item has ended. Load the page again to go on with it.";
      note.className = "problem";
      return;
    }
    note.querySelector(".left").textContent = left > 90 ? `${Math.round(left / 60)} min` : `${left} s`;
    if (document.visibilityState !== "visible" || Date.now() - asked < Math.max(half, 1000)) return;
    asked = Date.now();
    const body = new URLSearchParams({ lease: work.dataset.lease });
    try {
      const answer = await fetch(`/console/items/${work.dataset.item}/extend`, { method: "POST", body, headers: { Accept: "application/json" } });
      if (answer.ok) end = Date.now() + (await answer.json()).left * 1000;
      else if (answer.status === 409) end = 0;
    } catch { /* the next try is soon */ }
  }, 1000);
}

// The page that waits looks again; the queues count anew.
for (const form of document.querySelectorAll("form[data-again]")) {
  setTimeout(() => { if (!sent) form.requestSubmit(); }, Number(form.dataset.again) * 1000);
}
const fresh = document.querySelector("[data-refresh]");
if (fresh) {
  setInterval(async () => {
    if (document.visibilityState !== "visible" || fresh.contains(document.activeElement)) return;
    try {
      const answer = await fetch(location.href);
      if (!answer.ok || answer.redirected) return;
      const other = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(fresh.id);
      if (other) fresh.replaceChildren(...other.childNodes);
    } catch { /* the next try is soon */ }
  }, 5000);
}
