// Shows only the boxes that a kind of calibration needs, and keeps its preview up to date. The
// server computes it, with the same code as ingestion; without this script every box is there, and
// saving says what is missing.
(() => {
  "use strict";

  const WAIT_MS = 250;

  function start() {
    const section = document.getElementById("calibrate");
    if (!section) return;
    const form = section.closest("form");
    const boxes = JSON.parse(document.getElementById("calibrate-boxes").textContent);
    const kind = form.elements.namedItem("kind");
    const panel = section.querySelector("[data-preview]");
    let timer = 0;
    let asked = 0;

    function row(name) {
      const label = form.querySelector(`label[for^="id_${name}"]`);
      const box = form.querySelector(`#id_${name}`) || label;
      return box && (box.closest(`.field-${name}`) || box.closest(".form-row") || box.closest(".group"));
    }

    function show(name, used) {
      const found = row(name);
      if (found) found.toggleAttribute("data-unused", !used);
    }

    function choose() {
      const needed = boxes.kinds[kind.value] || [];
      const tank = boxes.tanks.includes(kind.value);
      for (const name of boxes.all) show(name, needed.includes(name));
      for (const name of boxes.mounting) show(name, tank);
      const ends = boxes.tables.includes(kind.value);
      show("ends", ends);
      const fieldset = row("ends")?.closest("fieldset");
      if (fieldset) fieldset.toggleAttribute("data-unused", !ends);
      const extend = form.querySelector("#id_ends option[value=extend]");
      if (extend) extend.hidden = extend.disabled = tank;
      if (tank && form.elements.namedItem("ends").value === "extend") {
        form.elements.namedItem("ends").value = "refuse";
      }
    }

    function begin() {
      const when = form.elements.namedItem("valid_from_0");
      const typed = form.elements.namedItem("valid_from_1");
      if (when && typed) typed.toggleAttribute("data-unused", when.value !== "from");
    }

    async function ask() {
      const number = ++asked;
      const sent = new FormData(form);
      if (section.dataset.version) sent.set("version", section.dataset.version);
      try {
        const answer = await fetch(section.dataset.previewUrl, { method: "POST", body: sent });
        // A slower, earlier answer must not overwrite a newer one.
        if (answer.ok && number === asked) panel.innerHTML = await answer.text();
      } catch {
        // Offline: the preview stays as it is, and saving checks everything again.
      }
    }

    form.addEventListener("input", () => {
      choose();
      begin();
      clearTimeout(timer);
      timer = setTimeout(ask, WAIT_MS);
    });
    choose();
    begin();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
