// The service's own description of itself, to be read and tried. Swagger UI is a classic script, which defines a global.
globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // a badge of another site
});

const { dataset, classList } = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const dress = () => classList.toggle("dark-mode", dataset.theme ? dataset.theme === "dark" : system.matches);
document.addEventListener("theme", dress);
dress();
