// The form of checks: files are dropped on it, and a line tells how far it is. Without this it is sent as any form.
"use strict";

(() => {
  const form = document.querySelector("form.check");
  if (!form) return;
  const drop = document.getElementById("drop");
  const file = document.getElementById("file");
  const text = document.getElementById("text");
  const progress = document.getElementById("progress");
  const failure = document.getElementById("failure");
  const button = form.querySelector(".send button");
  const limit = Number(form.dataset.limit);
  let request = null;

  const fail = (...lines) => {
    progress.textContent = "";
    button.disabled = false;
    request = null;
    failure.replaceChildren(...lines.filter(Boolean).map((line) => {
      const told = document.createElement("p");
      told.textContent = line;
      return told;
    }));
    failure.hidden = false;
  };

  for (const name of ["dragenter", "dragover"])
    form.addEventListener(name, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) drop.classList.remove("over");
  });
  form.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    file.files = one.files;
    progress.textContent = event.dataTransfer.files.length > 1 ? "One file at a time: the first is chosen." : `${file.files[0].name} is chosen.`;
    button.focus();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (request) return;
    failure.hidden = true;
    const chosen = file.files[0];
    if (!chosen && !text.value.trim()) return fail("Choose a file, or paste something");
    if (chosen && chosen.size > limit)
      return fail(`It is larger than the ${limit / 1048576} MiB that are looked at here`, "ksurf check, on your own machine, reads files of any size");
    button.disabled = true;
    progress.textContent = "Sending…";
    request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (sent) => {
      if (sent.lengthComputable) progress.textContent = `Sending… ${Math.round((100 * sent.loaded) / sent.total)}%`;
    });
    request.upload.addEventListener("load", () => { progress.textContent = "Checking…"; });
    request.addEventListener("load", () => {
      const answer = request.response;
      if (request.status === 201) location.assign(answer.location);
      else fail(answer?.error ? `Not checked: ${answer.error}` : `The server answered with status ${request.status}`, answer?.hint);
    });
    request.addEventListener("error", () => fail("The server cannot be reached, or takes no more of it"));
    request.send(new FormData(form));
  });

  // Who comes back finds the form as it was, and ready.
  addEventListener("pageshow", () => {
    request = null;
    button.disabled = false;
    progress.textContent = "";
  });
})();
