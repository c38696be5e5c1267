/**
 * The address of what is shown: `#/requests/cam7-1?tab=…`. Every filter is in it, so that a reload and a copied link
 * show the same.
 */

/** The parts of the path, decoded, and the members behind it. */
export function read(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const parts = path.split("/").filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { parts, members: Object.fromEntries(new URLSearchParams(query)) };
}

/** A link to these parts. Members that are empty are left out. */
export function link(parts, members = {}) {
  const given = Object.entries(members).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** Go there; the way back leads here. */
export function go(parts, members) {
  location.hash = link(parts, members);
}

/** Change the members of the address in its place: no step of the history for each letter that is typed. */
export function amend(members) {
  const now = read();
  history.replaceState(null, "", link(now.parts, { ...now.members, ...members }));
  dispatchEvent(new Event("amended"));
}
