// Signing in: the token is sent as a header and stored in a cookie that scripts cannot read.
const form = document.getElementById("sign-in");
const field = document.getElementById("token");
const message = document.getElementById("token-error");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  message.textContent = "";
  const token = field.value.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) {
    message.textContent = "A token starts with fw_ and has no spaces.";
    return;
  }
  let response;
  try {
    response = await fetch("/session", {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, accept: "application/json" },
    });
  } catch {
    message.textContent = "The server does not respond.";
    return;
  }
  if (response.ok) {
    location.replace(form.dataset.next);
    return;
  }
  message.textContent = (await response.json()).detail;
  field.select();
});
field.focus();
