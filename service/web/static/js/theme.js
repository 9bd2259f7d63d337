// Light or dark before anything is painted: what was chosen here, else what the system likes.
// A classic script in the head, since a module would come after the first paint.
(() => {
  const asked = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* storage may be forbidden; the system's choice will do */ }
  const chosen = [asked, kept].find((one) => one === "light" || one === "dark");
  if (chosen) document.documentElement.dataset.theme = chosen;
  const dark = () => document.documentElement.dataset.theme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const tell = () => document.dispatchEvent(new CustomEvent("theme", { detail: dark() ? "dark" : "light" }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);

  document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.classList.add("js");
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = dark() ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("theme", next); } catch { /* as above */ }
      tell();
    });
    document.getElementById("sign-out")?.addEventListener("click", async () => {
      await fetch("/session", { method: "DELETE" });
      location.assign("/sign-in");
    });
  });
})();
