import { isPlaceholder, UNFILLED } from "./placeholder.js";

/** One caller's token and the name that it goes by in the log. */
export interface Token {
  name: string;
  token: string;
}

/** Shorter ones can be guessed over a network. */
const MIN_LENGTH = 16;

/**
 * Reads tokens written as `name=token`, separated by commas or line breaks; a line that begins with `#` is a remark.
 * @throws an Error whose words go behind "the value" and never quote it
 */
export function parseTokens(text: string): Token[] {
  const entries = text
    .split("\n")
    .filter((line) => !line.trim().startsWith("#"))
    .flatMap((line) => line.split(","))
    .flatMap((entry) => entry.trim() || []);
  if (entries.some(isPlaceholder)) throw new Error(UNFILLED);
  const tokens = entries.map((entry) => {
    const [, name, token] = /^([\w.-]{1,64})\s*=\s*([\x21-\x7e]+)$/.exec(entry) ?? [];
    if (!name || !token) throw new Error("has an entry that is not name=token");
    if (token.length < MIN_LENGTH)
      throw new Error(`has a token of less than ${MIN_LENGTH} characters (of ${name})`);
    return { name, token };
  });
  if (tokens.length === 0) throw new Error("has no token in it");
  if (new Set(tokens.map(({ name }) => name)).size < tokens.length) throw new Error("has a name twice");
  if (new Set(tokens.map(({ token }) => token)).size < tokens.length) throw new Error("has a token twice");
  return tokens;
}
