// The page's script: login by an address, polling, confirmation, keys. Without it the pages read and work as forms.
"use strict";
(() => {
  const POLL_MS = 2000;
  const main = document.querySelector("main");
  const notice = document.getElementById("notice");
  const changed = document.getElementById("changed");

  // ------------------------------------------------------------------------------------------- login by an address
  const ticket = document.getElementById("ticket");
  if (ticket && location.hash.length > 1) {
    ticket.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
    ticket.form.requestSubmit();
  }

  // ------------------------------------------------------------------------------------------------------- polling
  const live = main && main.dataset.live;
  let tag = "", timer = 0;

  function say(text) {
    if (notice && notice.textContent !== text) notice.textContent = text;
  }

  function setText(id, text) {
    const node = document.getElementById(id);
    if (!node || node.textContent === text) return;
    const atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < 30;
    node.textContent = text;
    if (node.classList.contains("status")) node.className = "status " + text;
    if (node.tagName === "PRE" && atEnd) node.scrollTop = node.scrollHeight;
  }

  function show(news) {
    if (news.trouble) return say(news.trouble);
    say("");
    for (const [id, text] of Object.entries(news.texts)) setText(id, text);
    for (const [id, share] of Object.entries(news.shares)) {
      const bar = document.getElementById(id);
      if (bar) bar.value = share;
    }
    for (const [id, off] of Object.entries(news.disabled)) {
      const button = document.getElementById(id);
      if (button) button.disabled = off;
    }
    if (changed) changed.hidden = news.outline === main.dataset.outline;
  }

  async function ask() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const headers = tag ? { "If-None-Match": tag } : {};
      const answer = await fetch(live, { headers, cache: "no-store" });
      if (answer.status === 403) say("This login has ended. jarvisctl open logs in again.");
      else if (answer.status !== 304) {
        show(await answer.json());
        tag = answer.headers.get("ETag") || "";
      }
    } catch {
      tag = "";
      say("The page has ended. jarvisctl open starts it again.");
    }
    timer = setTimeout(ask, POLL_MS);
  }

  if (live) {
    document.addEventListener("visibilitychange", ask);
    timer = setTimeout(ask, POLL_MS);
  }
  for (const tail of document.querySelectorAll("pre[data-end]")) tail.scrollTop = tail.scrollHeight;

  // -------------------------------------------------------------------------------------------------- confirmation
  // A form with data-confirm is sent twice: the first answer is the question, which the server seals.
  const dialog = document.getElementById("confirm");
  let pending = null;

  async function question(form) {
    const answer = await fetch(form.action, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" },
    });
    const news = await answer.json();
    if (news.trouble) return say(news.trouble);
    const list = document.getElementById("confirm-lines");
    document.getElementById("confirm-question").textContent = news.question;
    document.getElementById("confirm-yes").textContent = news.button;
    list.replaceChildren(...news.lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
    pending = { form, seen: news.seen };
    dialog.showModal();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!dialog || !("confirm" in form.dataset)) return;
    event.preventDefault();
    question(form).catch(() => say("The page does not answer. jarvisctl open starts it again."));
  });

  if (dialog) {
    document.getElementById("confirm-no").addEventListener("click", () => dialog.close());
    document.getElementById("confirm-yes").addEventListener("click", () => {
      const seen = document.createElement("input");
      seen.type = "hidden";
      seen.name = "seen";
      seen.value = pending.seen;
      pending.form.append(seen);
      dialog.close();
      pending.form.submit();
    });
  }

  // -------------------------------------------------------------------------------------------- checked as it is typed
  async function check(form) {
    const answer = await fetch(form.dataset.check, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" },
    });
    const news = await answer.json();
    for (const [id, text] of Object.entries(news.texts || { check: news.trouble })) setText(id, text);
  }

  for (const form of document.querySelectorAll("form[data-check]")) {
    let wait = 0;
    const later = () => {
      clearTimeout(wait);
      wait = setTimeout(() => check(form).catch(() => say("The page does not answer.")), 400);
    };
    form.addEventListener("input", later);
    later();
  }

  // ---------------------------------------------------------------------------------------------------------- keys
  // Inside an element with data-keys, a key clicks what has it as data-key; ArrowLeft and the like work too.
  const begun = performance.now();
  const writes = (node) => node.matches("input:not([type=radio]), textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    const scope = event.target.closest && event.target.closest("[data-keys]");
    if (!scope || event.repeat || event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
    if (performance.now() - begun < 300 || (dialog && dialog.open)) return;
    const hit = [...scope.querySelectorAll("[data-key]")].find(
      (node) => node.dataset.key.split(" ").includes(event.key) && !node.disabled);
    if (!hit) return;
    event.preventDefault();
    hit.click();
  });

  // Rows: j and k, or the arrows, go from one to the next.
  document.addEventListener("keydown", (event) => {
    const row = event.target.closest && event.target.closest(".rows > li");
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (!row || !step || writes(event.target)) return;
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    const goal = next && next.querySelector("a, button:not(:disabled)");
    if (!goal) return;
    event.preventDefault();
    goal.focus();
  });
})();
