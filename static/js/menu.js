/** The account menu: closes on Escape and on a click elsewhere; holds the choice of colours. */

/** @param {string} theme */
function mark(theme) {
  for (const button of document.querySelectorAll("[data-theme-choice] button")) {
    const value = /** @type {HTMLButtonElement} */ (button).value;
    button.setAttribute("aria-pressed", String(value === theme));
  }
}

/** @param {string} theme system|light|dark */
function choose(theme) {
  const root = document.documentElement;
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // Storage is switched off: the choice lasts until the next page.
  }
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  mark(theme);
}

export function prepareMenu() {
  const menu = document.querySelector("[data-menu]");
  if (!(menu instanceof HTMLDetailsElement)) return;
  mark(document.documentElement.dataset.theme ?? "system");
  document.addEventListener("click", (event) => {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary")?.focus();
  });
  menu.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-theme-choice] button");
    if (button instanceof HTMLButtonElement) choose(button.value);
  });
}
