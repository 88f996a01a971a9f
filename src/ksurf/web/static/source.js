// What makes a page of source quicker to use: switches, ranges of lines, cards, and marks that come later.
"use strict";

(() => {
  const source = document.getElementById("source");
  if (!source) return;
  const { tree, file, kernel } = source.dataset;
  const [first, last, count] = ["first", "last", "lines"].map((name) => Number(source.dataset[name]));

  // ---- hints and calls, shown or not, as they were left
  for (const link of document.querySelectorAll("a.switch")) {
    const name = link.dataset.switch;
    const kept = `ksurf.source.${name}`;
    const words = link.textContent.replace(/^\S+\s/, "");
    const set = (on) => {
      source.classList.toggle(name === "hints" ? "no-hints" : "show-calls", name === "hints" ? !on : on);
      link.textContent = `${on ? "Hide" : "Show"} ${words}`;
      link.dataset.on = on ? "1" : "0";
    };
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const on = link.dataset.on !== "1";
      set(on);
      try { localStorage.setItem(kept, on ? "1" : "0"); } catch { /* nothing is kept */ }
    });
    let before = null;
    try { before = localStorage.getItem(kept); } catch { /* nothing is kept */ }
    if (before !== null && !new URLSearchParams(location.search).has(name)) set(before === "1");
  }

  // ---- lines and ranges: #L10, #L10-L20
  const asked = () => {
    const found = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
    if (!found) return null;
    const [from, to] = [Number(found[1]), Number(found[2] || found[1])];
    return from <= to ? [from, to] : [to, from];
  };
  const mark = (scroll) => {
    for (const row of source.querySelectorAll("tr.hit")) row.classList.remove("hit");
    const range = asked();
    if (!range) return;
    const [from, to] = range;
    if ((from < first || from > last) && from <= count) {
      const url = new URL(location.href);
      url.searchParams.delete("part");
      url.searchParams.set("line", from === to ? from : `${from}-${to}`);
      location.replace(url);
      return;
    }
    for (let line = from; line <= Math.min(to, last); line++) document.getElementById(`L${line}`)?.classList.add("hit");
    if (scroll) document.getElementById(`L${from}`)?.scrollIntoView({ block: "center" });
  };
  source.addEventListener("click", (event) => {
    const link = event.target.closest("td:first-child > a");
    const before = asked();
    if (!link || !event.shiftKey || !before) return;
    event.preventDefault();
    const line = Number(link.textContent);
    const [from, to] = line < before[0] ? [line, before[0]] : [before[0], line];
    history.replaceState(null, "", `#L${from}-L${to}`);
    mark(false);
  });
  addEventListener("hashchange", () => mark(asked() && asked()[0] !== asked()[1]));
  mark(Boolean(asked()));

  // ---- another version, at the same lines
  document.querySelector("form.version")?.addEventListener("submit", (event) => {
    const range = asked();
    const input = event.target.elements.line;
    input.disabled = !range;
    if (range) input.value = range[0] === range[1] ? range[0] : range.join("-");
  });

  // ---- what kernels made of it, once it is read
  const put = (found) => {
    for (const [line, [css, sign, title, calls]] of Object.entries(found.rows)) {
      const row = document.getElementById(`L${line}`);
      if (!row || row.classList.contains("off")) continue;
      const gutter = row.cells[1];
      gutter.className = css;
      gutter.textContent = sign;
      if (title) gutter.title = title;
      if (calls) row.cells[2].append(Object.assign(document.createElement("em"), { textContent: calls }));
    }
    for (const item of document.querySelectorAll("#outline li[data-line]")) {
      const said = found.functions[item.dataset.line];
      if (!said) continue;
      item.querySelector(".sign").textContent = said[0];
      const details = document.createElement("details");
      const summary = document.createElement("summary");
      summary.textContent = "kernels";
      const list = document.createElement("ul");
      for (const text of said.slice(1)) list.append(Object.assign(document.createElement("li"), { textContent: text }));
      details.append(summary, list);
      item.append(details);
    }
  };
  const waiting = document.getElementById("facts");
  if (waiting) {
    waiting.textContent = "Reading what the kernels of the dataset made of it …";
    fetch(waiting.dataset.facts)
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
      .then((found) => { put(found); waiting.remove(); })
      .catch(() => { waiting.textContent = "What the kernels of the dataset made of it could not be read."; });
  }

  // ---- cards: what a name is, where the pointer or the focus rests
  const DELAY = 250;
  const GONE = 250;
  let card = null;
  let shownFor = null;
  let timer = 0;
  let closing = 0;
  let turn = 0;
  let quiet = false;
  const close = () => {
    clearTimeout(timer);
    clearTimeout(closing);
    card?.remove();
    card = null;
    shownFor = null;
  };
  const later = () => {
    clearTimeout(timer);
    clearTimeout(closing);
    closing = setTimeout(close, GONE);
  };
  const addressOf = (link) => {
    const to = new URL(link.href);
    const query = new URLSearchParams({ symbol: link.textContent, kind: link.classList[0] });
    if (kernel) query.set("kernel", kernel);
    const line = /^#L(\d+)/.exec(to.hash);
    const path = to.pathname.startsWith(`${tree}/`) ? decodeURIComponent(to.pathname.slice(tree.length + 1)) : "";
    if (line && path) {
      query.set("file", to.pathname === location.pathname ? file : path);
      query.set("line", line[1]);
    }
    return `${source.dataset.card}?${query}`;
  };
  const show = async (link) => {
    if (shownFor === link) return clearTimeout(closing);
    close();
    shownFor = link;
    const own = ++turn;
    let text;
    try {
      const answer = await fetch(addressOf(link));
      if (!answer.ok) return;
      text = await answer.text();
    } catch { return; }
    if (shownFor !== link || own !== turn) return;
    card = document.createElement("div");
    card.className = "card";
    card.setAttribute("role", "group");
    card.setAttribute("aria-label", `About ${link.textContent}`);
    card.innerHTML = text;
    // Behind its name, so that the next tab goes into it; placed on the page, so that no scrolling part cuts it off.
    link.after(card);
    const [at, around] = [link.getBoundingClientRect(), source.getBoundingClientRect()];
    const left = Math.max(0, Math.min(at.left - around.left, around.width - card.offsetWidth));
    const above = at.bottom + card.offsetHeight > innerHeight && at.top > card.offsetHeight;
    card.style.left = `${left}px`;
    card.style.top = `${(above ? at.top - card.offsetHeight : at.bottom) - around.top}px`;
    card.addEventListener("pointerenter", () => clearTimeout(closing));
    card.addEventListener("pointerleave", later);
  };
  const nameAt = (target) => {
    const link = target instanceof Element ? target.closest("td:last-child > a") : null;
    return link && !link.classList.contains("include") ? link : null;
  };
  source.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = nameAt(event.target);
    if (!link) return;
    clearTimeout(timer);
    if (link === shownFor) return clearTimeout(closing);
    timer = setTimeout(() => show(link), DELAY);
  });
  source.addEventListener("pointerout", (event) => { if (nameAt(event.target)) later(); });
  source.addEventListener("focusin", (event) => {
    if (card?.contains(event.target)) return clearTimeout(closing);
    const link = nameAt(event.target);
    if (quiet) return;
    if (link && link.matches(":focus-visible")) show(link);
    else if (!link) later();
  });
  source.addEventListener("focusout", (event) => {
    if (!source.contains(event.relatedTarget)) later();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !shownFor) return;
    const back = card?.contains(document.activeElement) ? shownFor : null;
    close();
    // The focus that comes back must not bring back the card.
    quiet = true;
    back?.focus();
    quiet = false;
  });
})();
