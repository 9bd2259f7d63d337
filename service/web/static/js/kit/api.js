// Requests to the JSON API. Error responses become ApiError, which carries the problem document.

export const UNREACHABLE = "The server does not respond. Is it still running?";

export class ApiError extends Error {
  constructor(problem) {
    super(problem.detail ?? UNREACHABLE);
    this.problem = problem;
  }
}

export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { accept: "application/json", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ detail: UNREACHABLE });
  }
  if (response.status === 401) location.reload(); // the server redirects to the sign-in page
  const body = response.status === 204 ? null : await response.json().catch(() => ({ detail: response.statusText }));
  if (!response.ok) throw new ApiError(body);
  return body;
}

/** Post a body, which is JSON if it is a text. */
export function post(path, body = null, options = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const json = body === null ? {} : { body: text, headers: { "content-type": "application/json" } };
  return request(path, { method: "POST", ...json, ...options });
}
