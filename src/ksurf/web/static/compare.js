// The list of what differs is asked for as the filters change; without this the form's button does it.
"use strict";

(() => {
  const form = document.getElementById("filters");
  if (!form) return;
  let request = null;
  let timer = 0;

  const address = () => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
    const text = query.toString();
    return new URL(form.action).pathname + (text ? `?${text}` : "");
  };
  const show = async () => {
    request?.abort();
    request = new AbortController();
    const target = address();
    try {
      const answer = await fetch(target, { signal: request.signal });
      if (!answer.ok) return;
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("found");
      if (!found) return;
      document.getElementById("found").replaceWith(document.adoptNode(found));
      history.replaceState(null, "", `${target}#list`);
    } catch (error) {
      if (error.name !== "AbortError") form.submit();
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, 120);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    show();
  });
})();
