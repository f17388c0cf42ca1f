// Two extras: replies without names until asked for, and a table that sorts. Without scripts the page says the same.
for (const section of document.querySelectorAll("[data-reveal]")) {
  for (const list of section.querySelectorAll("[data-blind]")) {
    const items = [...list.children];
    for (let last = items.length - 1; last > 0; last--) {
      const other = Math.floor(Math.random() * (last + 1));
      [items[last], items[other]] = [items[other], items[last]];
    }
    list.append(...items);
  }
  const button = section.querySelector(".reveal");
  section.classList.add("blind");
  button.hidden = false;
  button.addEventListener("click", () => {
    const blind = section.classList.toggle("blind");
    button.textContent = blind ? "Reveal names" : "Hide names";
  });
}

const figure = (cell) => {
  const found = cell.textContent.replace(/,/g, "").match(/^\s*(-?[\d.]+)\s*(GB)?/);
  return found ? Number(found[1]) * (found[2] ? 1024 : 1) : null;
};

const compare = (first, second) => {
  const [one, other] = [figure(first), figure(second)];
  if (one !== null && other !== null) return one - other;
  if (one === null && other === null) return first.textContent.localeCompare(second.textContent);
  return one === null ? 1 : -1;
};

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      const isModel = (row) => !row.classList.contains("reference");
      rows.sort((first, second) =>
        isModel(second) - isModel(first) || (down ? -1 : 1) * compare(first.cells[column], second.cells[column]));
      table.tBodies[0].append(...rows);
    });
  });
}
