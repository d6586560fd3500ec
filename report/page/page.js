"use strict";
// The page is whole without this script, which adds the filter, the keys and the sorting of tables.
(() => {
  const form = document.getElementById("filters");
  if (form) filters(form);
  document.querySelectorAll("table.sortable").forEach(sortable);

  function filters(form) {
    const section = document.getElementById("findings");
    const groups = [...section.querySelectorAll(".group")].map((element) => ({
      element,
      findings: [...element.querySelectorAll("article")].map((article) => ({
        article,
        text: (element.querySelector("h3").textContent + " " + article.textContent).toLowerCase(),
      })),
    }));
    const all = groups.reduce((n, group) => n + group.findings.length, 0);
    const bars = [...document.querySelectorAll("[data-filter]")];
    const { text } = form.elements;
    // A page of one cluster has no choice of clusters.
    const selects = ["rule", "namespace", "cluster", "severity"].filter((name) => form.elements[name]);
    const count = document.getElementById("count");

    function apply() {
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const actions = new Set([...form.querySelectorAll("[name=action]:checked")].map((box) => box.value));
      const wants = (select, value) => select.value === "*" || select.value === "=" + value;
      let shown = 0;
      for (const group of groups) {
        let here = 0;
        for (const { article, text } of group.findings) {
          const show = actions.has(article.dataset.action) && selects.every((name) => wants(form.elements[name], article.dataset[name])) && words.every((word) => text.includes(word));
          article.hidden = !show;
          here += show;
        }
        group.element.hidden = here === 0;
        shown += here;
      }
      count.textContent = shown === all ? String(all) : shown + " of " + all;
      document.getElementById("none").hidden = shown > 0;
      for (const bar of bars) bar.setAttribute("aria-pressed", String(form.elements[bar.dataset.filter].value === bar.dataset.value));
    }

    function clear() {
      form.reset();
      apply();
    }

    function step(by) {
      const shown = [...section.querySelectorAll("article")].filter((article) => !article.hidden);
      const at = shown.indexOf(document.activeElement.closest("article"));
      const next = shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : at + by];
      if (next) {
        next.focus({ preventScroll: true });
        next.scrollIntoView({ block: "center" });
      }
    }

    form.hidden = false;
    document.querySelector(".keys").hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    // The event comes before the form is as it will be.
    form.addEventListener("reset", () => setTimeout(apply));
    document.getElementById("again").addEventListener("click", () => { clear(); text.focus(); });
    for (const bar of bars) {
      bar.addEventListener("click", () => {
        const select = form.elements[bar.dataset.filter];
        select.value = select.value === bar.dataset.value ? "*" : bar.dataset.value;
        apply();
        if (bar.dataset.filter === "cluster" && select.value !== "*") section.scrollIntoView();
      });
    }
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") return clear();
      if (event.target.matches("input[type=search], select")) return;
      const keys = { "/": () => text.focus(), j: () => step(1), k: () => step(-1) };
      if (Object.hasOwn(keys, event.key)) {
        event.preventDefault();
        keys[event.key]();
      }
    });
    // A browser that reloads the page may have kept what was typed.
    apply();
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const compare = new Intl.Collator(undefined, { numeric: true }).compare;
    const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => compare(value(a, column), value(b, column)));
        body.append(...(down ? rows.reverse() : rows));
      });
    });
  }
})();
