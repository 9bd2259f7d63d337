// The token goes into a header, as everywhere, and comes back as a cookie that no script can read.
const form = document.getElementById("sign-in");
const field = document.getElementById("token");
const told = document.getElementById("token-error");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  told.textContent = "";
  const token = field.value.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) {
    told.textContent = "A token has no spaces, and begins with fw_.";
    return;
  }
  let answer;
  try {
    answer = await fetch("/session", {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, accept: "application/json" },
    });
  } catch {
    told.textContent = "The server does not answer.";
    return;
  }
  if (answer.ok) {
    location.replace(form.dataset.next);
    return;
  }
  told.textContent = (await answer.json()).detail;
  field.select();
});
field.focus();
