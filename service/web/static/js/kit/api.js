// The JSON API as a page asks it. Refusals become errors that carry the problem.

export const SILENT = "The server does not answer. Is it still running?";

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail ?? "The server did not answer.");
    this.problem = problem;
  }
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { headers: { accept: "application/json", ...options.headers }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused({ detail: SILENT });
  }
  if (answer.status === 401) location.reload(); // which leads to the page that takes a token
  const told = answer.status === 204 ? null : await answer.json().catch(() => ({ detail: answer.statusText }));
  if (!answer.ok) throw new Refused(told);
  return told;
}

export function post(path, body = null) {
  const json =
    body === null
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json", accept: "application/json" } };
  return ask(path, { method: "POST", ...json });
}
