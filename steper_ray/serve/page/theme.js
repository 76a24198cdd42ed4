// Light, dark, or as the system has it; set before the first paint.
(() => {
  const order = ["system", "light", "dark"];
  const labels = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const name = "steper.theme";

  function saved() {
    try {
      const value = localStorage.getItem(name);
      return order.includes(value) ? value : "system";
    } catch {
      return "system"; // storage is switched off
    }
  }

  function apply(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }

  let theme = saved();
  apply(theme);
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.textContent = labels[theme];
    button.addEventListener("click", () => {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      apply(theme);
      button.textContent = labels[theme];
      try {
        localStorage.setItem(name, theme);
      } catch {
        // It holds until the page is closed.
      }
    });
  });
})();
