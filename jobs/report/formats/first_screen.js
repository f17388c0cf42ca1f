"use strict";
// Extras of the first screen: copy a command, weigh quality, speed and memory anew, show some prompts alone.
const made = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const copied = async (code) => {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch { // a page from disk may not use the clipboard: what is selected can still be copied
    getSelection().selectAllChildren(code);
    if (!document.execCommand("copy")) return false;
    getSelection().removeAllRanges();
  }
  return true;
};

for (const code of document.querySelectorAll(".command code")) {
  const button = made("button", { type: "button", className: "copy" }, "Copy");
  button.setAttribute("aria-label", `Copy: ${code.textContent}`);
  button.addEventListener("click", async () => {
    button.textContent = await copied(code) ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  code.parentElement.append(button);
}

for (const table of document.querySelectorAll("table[data-weights]")) {
  const planned = Object.fromEntries(JSON.parse(table.dataset.weights));
  const body = table.tBodies[0];
  const original = [...body.rows];
  const weights = { ...planned };
  const fields = {};
  const said = made("p", { className: "changed" });
  said.setAttribute("role", "status");
  const score = (row) => Object.entries(weights).reduce((sum, [name, weight]) => sum + weight * Number(row.dataset[name]), 0);
  const order = () => {
    const chosen = original.filter((row) => row.dataset.quality !== undefined);
    const left = original.filter((row) => row.dataset.quality === undefined);
    chosen.sort((one, other) => score(other) - score(one));
    body.append(...chosen, ...left);
    const name = chosen[0].cells[0].firstChild.textContent.trim();
    said.textContent = `With these weights ${name} comes first. The advice above does not change.`;
  };
  const show = () => {
    for (const [name, [input, output]] of Object.entries(fields)) {
      input.value = weights[name];
      output.textContent = weights[name];
    }
  };
  const line = made("div", { className: "weights" });
  for (const name of Object.keys(planned)) {
    const input = made("input", { type: "range", min: 0, max: 100, step: 5 });
    const output = made("output", {});
    fields[name] = [input, output];
    input.addEventListener("input", () => { weights[name] = Number(input.value); show(); order(); });
    line.append(made("label", {}, name, input, output));
  }
  const reset = made("button", { type: "button" }, "Reset");
  reset.addEventListener("click", () => {
    Object.assign(weights, planned);
    show();
    body.append(...original);
    said.textContent = "";
  });
  line.append(reset);
  show();
  table.closest("section").querySelector(".bar").append(line);
  table.closest(".scroll").after(said);
}

for (const section of document.querySelectorAll("[data-prompts]")) {
  const prompts = [...section.querySelectorAll(".prompt")];
  const rest = section.querySelector(".rest");
  const tests = {
    all: () => true,
    differ: (prompt) => prompt.dataset.differs !== undefined,
    failed: (prompt) => prompt.dataset.failed !== undefined,
  };
  const line = made("div", { className: "filters" });
  const buttons = Object.entries(tests).map(([name, test]) => {
    const button = made("button", { type: "button" }, `${name} ${prompts.filter(test).length}`);
    button.addEventListener("click", () => { select.value = ""; show(button, test); });
    return button;
  });
  const names = [...new Set(prompts.flatMap((prompt) => JSON.parse(prompt.dataset.checks)))].sort();
  const select = made("select", {}, made("option", { value: "" }, "by check"), ...names.map((name) => made("option", { value: name }, `✗ ${name}`)));
  select.setAttribute("aria-label", "Prompts where a reply fails a check");
  const show = (chosen, test) => {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === chosen)));
    prompts.forEach((prompt) => { prompt.hidden = !test(prompt); });
    if (rest) {
      rest.hidden = ![...rest.querySelectorAll(".prompt")].some((prompt) => !prompt.hidden);
      if (chosen !== buttons[0]) rest.open = true;
    }
  };
  select.addEventListener("change", () => {
    if (select.value) show(null, (prompt) => JSON.parse(prompt.dataset.checks).includes(select.value));
    else show(buttons[0], tests.all);
  });
  line.append(...buttons, select);
  section.querySelector(".bar h2").after(line);
  show(buttons[0], tests.all);
}

// A part that is folded opens when a link leads to it, and everything opens on paper.
const unfold = () => {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target && target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", unfold);
addEventListener("load", unfold);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
