// The color theme, the theme button and the sign-out button.
// A classic script in the head: a module would run after the first paint.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  let stored = null;
  try {
    stored = localStorage.getItem("theme");
  } catch {
    // Storage is blocked: use the system's theme.
  }
  if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  root.classList.add("js");

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const announce = () => document.dispatchEvent(new CustomEvent("theme", { detail: isDark() ? "dark" : "light" }));
  const toggle = () => {
    const next = isDark() ? "light" : "dark";
    root.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Storage is blocked: the choice lasts until the page is closed.
    }
    announce();
  };
  const signOut = async () => {
    await fetch("/session", { method: "DELETE" });
    location.assign("/sign-in");
  };
  system.addEventListener("change", announce);
  // Delegated, because the page is visible before the buttons are parsed.
  document.addEventListener("click", (event) => {
    if (event.target.closest("#theme")) toggle();
    if (event.target.closest("#sign-out")) signOut();
  });
})();
