// Light or dark before anything is painted: what was chosen here, else what the system likes.
// A classic script in the head, since a module would come after the first paint.
(() => {
  let kept = null;
  try {
    kept = localStorage.getItem("theme");
  } catch {
    /* storage may be forbidden; the system's choice will do */
  }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  const dark = () =>
    document.documentElement.dataset.theme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const tell = () => document.dispatchEvent(new CustomEvent("theme", { detail: dark() ? "dark" : "light" }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);

  document.documentElement.classList.add("js");
  const turn = () => {
    const next = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      /* as above */
    }
    tell();
  };
  const leave = async () => {
    await fetch("/session", { method: "DELETE" });
    location.assign("/sign-in");
  };
  // From the first moment on: the page may be seen before all of it has come.
  document.addEventListener("click", (event) => {
    if (event.target.closest("#theme")) turn();
    if (event.target.closest("#sign-out")) leave();
  });
})();
