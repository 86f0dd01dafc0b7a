// Sets the theme before the first paint: the stored choice, or else the system's.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try {
      return localStorage.getItem("lupis-theme");
    } catch {
      return null; // storage is blocked
    }
  };
  const apply = () => {
    document.documentElement.dataset.theme = read() || (dark.matches ? "dark" : "light");
    dispatchEvent(new Event("lupis-theme"));
  };
  globalThis.toggleTheme = () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("lupis-theme", next);
    } catch {
      document.documentElement.dataset.theme = next;
    }
    apply();
  };
  dark.addEventListener("change", apply);
  apply();
})();
