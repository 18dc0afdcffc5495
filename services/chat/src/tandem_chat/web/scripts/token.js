// The bearer token of this tab, where there is one.

const PLACE = "tandem-token";

export const hasToken = () => sessionStorage.getItem(PLACE) !== null;
export const keepToken = (token) => sessionStorage.setItem(PLACE, token);
export const forgetToken = () => sessionStorage.removeItem(PLACE);

/** The header that shows who asks. A token that no header can hold is nobody's. */
export function authorization() {
  const token = sessionStorage.getItem(PLACE);
  return token && /^[\x21-\x7e]+$/.test(token) ? { Authorization: `Bearer ${token}` } : {};
}
