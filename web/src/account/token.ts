/**
 * Takes the token out of the address. It stands in the fragment, which no server sees, and is
 * gone from the address before anybody copies that.
 */
export function takeToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) history.replaceState(null, "", location.pathname);
  return token;
}
