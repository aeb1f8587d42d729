// Applies the person's choice of colours before the first paint. A classic script on purpose: modules run later.
(function () {
  "use strict";
  try {
    var theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Storage is switched off in this browser: the system's colours apply.
  }
})();
