/** Goes behind "the value" or "the file". */
export const UNFILLED =
  "holds a placeholder that the client did not fill in; set it where the client is started";

/**
 * Whether a client has handed on a reference of its configuration instead of what it stands for: `${NAME}`,
 * `${env:NAME}` (Cursor), `${input:id}` (VS Code), `${user_config.name}` (Claude Desktop's bundles). As a key it would
 * only be refused by the API, and as a token it would be one that everybody knows.
 */
export function isPlaceholder(text: string): boolean {
  return /\$\{[^{}]*\}/.test(text);
}
