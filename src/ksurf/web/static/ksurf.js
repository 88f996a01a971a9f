// What makes pages quicker to use; without it they say and do the same.
"use strict";

// ---- search as you type: a combobox, by the ARIA practices
(() => {
  const input = document.getElementById("q");
  if (!input) return;
  const form = input.form;
  const list = document.createElement("ul");
  list.className = "suggestions";
  list.id = "suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  list.hidden = true;
  form.append(list);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-expanded", "false"]])
    input.setAttribute(name, value);

  let chosen = -1;
  let asked = "";
  let request = null;

  const close = () => {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (index) => {
    const items = list.children;
    if (!items.length) return;
    chosen = (index + items.length) % items.length;
    for (const [at, item] of [...items].entries()) item.setAttribute("aria-selected", String(at === chosen));
    items[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", items[chosen].id);
  };
  const show = (found) => {
    list.replaceChildren(...found.hits.map((hit, index) => {
      const item = document.createElement("li");
      item.id = `suggestion-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.dataset.href = hit.href;
      for (const [name, text] of [["kind", hit.kind], ["name", hit.name], ["on", hit.on]]) {
        const part = document.createElement("span");
        part.className = name;
        part.textContent = text;
        item.append(part);
      }
      return item;
    }));
    list.hidden = !found.hits.length;
    chosen = -1;
    input.setAttribute("aria-expanded", String(!list.hidden));
  };
  // A site has no server to ask, but a list of its symbols.
  let symbols = null;
  const inList = async (text) => {
    symbols ??= fetch(form.dataset.index).then((answer) => answer.json());
    const root = new URL(form.dataset.index, location.href);
    const rank = (name) => (name === text ? 0 : name.startsWith(text) ? 1 : 2);
    const hits = (await symbols)
      .map((one) => ({ ...one, folded: one.name.toLowerCase() }))
      .filter((one) => one.folded.includes(text))
      .sort((a, b) => rank(a.folded) - rank(b.folded) || a.name.length - b.name.length || (a.name < b.name ? -1 : 1));
    return { hits: hits.slice(0, 20).map((one) => ({ ...one, on: "", href: new URL(one.href, root).href })) };
  };
  const onServer = async (text) => {
    request = new AbortController();
    const answer = await fetch(`${input.dataset.suggest}?q=${encodeURIComponent(text)}`, { signal: request.signal });
    return answer.ok ? answer.json() : { hits: [] };
  };
  form.hidden = false;
  const ask = async () => {
    const text = input.value.trim();
    if (text === asked) return;
    asked = text;
    request?.abort();
    if (!text) return close();
    try {
      const found = await (form.dataset.index ? inList(text.toLowerCase()) : onServer(text));
      if (asked === text) show(found);
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };
  input.addEventListener("input", ask);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) return;
      event.preventDefault();
      choose(event.key === "ArrowDown" ? chosen + 1 : Math.max(chosen, 0) - 1);
    } else if (event.key === "Escape") {
      close();
    } else if (event.key === "Enter" && chosen >= 0 && !list.hidden) {
      event.preventDefault();
      location.href = list.children[chosen].dataset.href;
    }
  });
  list.addEventListener("mousedown", (event) => {
    const item = event.target.closest("li");
    if (item) location.href = item.dataset.href;
  });
  input.addEventListener("blur", close);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    }
  });
})();

// ---- trees: what a line holds is fetched when it is opened for the first time
document.addEventListener("toggle", async (event) => {
  const details = event.target;
  const address = details.open && details.dataset.part;
  if (!address) return;
  delete details.dataset.part;
  const answer = await fetch(address);
  if (!answer.ok) return;
  const part = document.createElement("div");
  // Made by this server, which escapes what is not its own.
  part.innerHTML = await answer.text();
  details.querySelector(":scope > .unscripted")?.remove();
  details.append(part);
}, true);
