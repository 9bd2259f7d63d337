// The API reference. Swagger UI is a classic script that defines a global.
globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // the validator badge is loaded from another site
});

const { dataset, classList } = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => classList.toggle("dark-mode", dataset.theme ? dataset.theme === "dark" : system.matches);
document.addEventListener("theme", applyTheme);
applyTheme();
