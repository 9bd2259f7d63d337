// View state in the query string, so that a link shows the same view to others. Default values are left out.

export function getParam(name, fallback = "") {
  return new URLSearchParams(location.search).get(name) ?? fallback;
}

/** Replace query parameters without a history entry; null, undefined and "" remove a parameter. */
export function setParams(changes) {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "" || value === undefined) params.delete(name);
    else params.set(name, value);
  }
  const query = params.toString();
  history.replaceState(history.state, "", query ? `?${query}` : location.pathname);
}

/** Names as one parameter value, separated by bars; bars within a name are percent-encoded. */
export function joinNames(names) {
  return names.map((name) => name.replaceAll("%", "%25").replaceAll("|", "%7C")).join("|");
}

export function splitNames(text) {
  return text
    .split("|")
    .filter(Boolean)
    .map((name) => name.replaceAll("%7C", "|").replaceAll("%25", "%"));
}
