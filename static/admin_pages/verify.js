// Keeps the previews of proposed mappings up to date while somebody types. The server maps the
// values, with the same code as ingestion; without this script «Verify» does it again.
(() => {
  "use strict";

  const WAIT_MS = 250;

  function start() {
    const section = document.getElementById("verify");
    const rows = section ? section.querySelectorAll("[data-prefix]") : [];
    if (!rows.length) return;
    const form = section.closest("form");
    let timer = 0;
    let asked = 0;

    function show(previews) {
      for (const row of rows) {
        const found = previews[row.dataset.prefix];
        if (!found) continue;
        row.querySelector("[data-preview]").textContent = found.text;
        row.querySelector("[data-note]").textContent = found.note;
        row.querySelector(".verify-preview").classList.toggle("verify-preview-ok", found.ok);
      }
    }

    async function ask() {
      const number = ++asked;
      const sent = new FormData();
      for (const [name, value] of new FormData(form)) {
        if (name.startsWith("proposal-") || name === "csrfmiddlewaretoken" || name === "device") {
          sent.append(name, value);
        }
      }
      if (section.dataset.device) sent.set("device", section.dataset.device);
      try {
        const answer = await fetch(section.dataset.previewUrl, { method: "POST", body: sent });
        // A slower, earlier answer must not overwrite a newer one.
        if (answer.ok && number === asked) show(await answer.json());
      } catch {
        // Offline: the previews stay as they are, and saving checks everything again.
      }
    }

    section.addEventListener("input", (event) => {
      if (!event.target.closest("[data-prefix]")) return;
      clearTimeout(timer);
      timer = setTimeout(ask, WAIT_MS);
    });
    section.scrollIntoView({ block: "start" });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
