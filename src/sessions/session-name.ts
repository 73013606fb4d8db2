/** Words that say nothing about what a session is for. */
const FILLERS = new Set(
  "a an and are be can could do for from i in is it just let make me my of on or our please so some that the then this to us we will with would you your".split(
    " ",
  ),
);
const MAX_WORDS = 5;
const MAX_LENGTH = 40;

/**
 * A short name for a session, made of the first telling words of the message: "Design the JWT login for my app"
 * gives `design-jwt-login-app`. A number is added when the name is taken.
 */
export function suggestSessionName(message: string, isTaken: (name: string) => boolean): string {
  const words = message
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .normalize("NFC")
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu);
  const telling = (words ?? []).filter((word) => !FILLERS.has(word));
  let base = "";
  for (const word of (telling.length > 0 ? telling : (words ?? [])).slice(0, MAX_WORDS)) {
    const longer = base ? `${base}-${word}` : word.slice(0, MAX_LENGTH);
    if (longer.length > MAX_LENGTH) break;
    base = longer;
  }
  base ||= "session";
  if (!isTaken(base)) return base;
  for (let number = 2; ; number++) {
    if (!isTaken(`${base}-${number}`)) return `${base}-${number}`;
  }
}
