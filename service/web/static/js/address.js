// What a reader chose lives in the address, so that a link shows the same to somebody else. What is as usual is left out.

export function chosen(name, usual = "") {
  return new URLSearchParams(location.search).get(name) ?? usual;
}

export function choose(changes) {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "" || value === undefined) parameters.delete(name);
    else parameters.set(name, value);
  }
  const query = parameters.toString();
  history.replaceState(history.state, "", query ? `?${query}` : location.pathname);
}
