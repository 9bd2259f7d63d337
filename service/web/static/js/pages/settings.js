// Settings: create and revoke tokens, create, test and delete webhooks.
import { post, request } from "../kit/api.js";
import { showRelativeTimes } from "../kit/format.js";

const dialog = document.getElementById("confirm");
let pending = null;

const bodies = {
  token: ({ name, owner, scope }) => ({ name: name.value.trim(), owner: owner.value.trim(), scopes: [scope.value] }),
  webhook: ({ url, events }) => ({
    url: url.value.trim(),
    events: [...events.selectedOptions].map((option) => option.value),
  }),
};
/** The secret of a new token or webhook, which no later response contains or which receivers need. */
const secrets = {
  token: (created) => [`Token of ${created.owner}. Copy it now, it is not displayed again:`, created.token],
  webhook: (created) => ["Secret that signs the requests:", created.secret],
};

/** What became of a test delivery. */
function result({ status, attempts }) {
  const { error, status_code: code } = attempts.at(-1) ?? {};
  return status === "succeeded" ? "Delivered" : `Failed: ${error ?? code ?? status}`;
}

async function create(form) {
  const { create: path, kind } = form.dataset;
  form.querySelector("[role=alert]").textContent = "";
  const created = await post(path, bodies[kind](form.elements));
  const [text, secret] = secrets[kind](created);
  const code = document.createElement("code");
  code.textContent = secret;
  form.querySelector("[role=status]").replaceChildren(text, " ", code);
  form.reset();
}

for (const form of document.querySelectorAll("form[data-create]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    await create(form).catch((error) => {
      form.querySelector("[role=alert]").textContent = error.message;
    });
    button.disabled = false;
  });
}

document.addEventListener("click", async ({ target }) => {
  if (target.closest("[data-closes]")) dialog.close();
  const deleting = target.closest("[data-delete]");
  if (deleting) {
    pending = deleting.dataset.delete;
    document.getElementById("confirm-question").textContent = deleting.dataset.question;
    dialog.querySelector("[role=alert]").textContent = "";
    dialog.showModal();
  }
  const sending = target.closest("[data-send]");
  if (sending) {
    sending.disabled = true;
    sending.textContent = await post(sending.dataset.send).then(result, (error) => error.message);
  }
});

dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await request(pending, { method: "DELETE" });
    location.reload();
  } catch (error) {
    dialog.querySelector("[role=alert]").textContent = error.message;
  }
});
showRelativeTimes();
