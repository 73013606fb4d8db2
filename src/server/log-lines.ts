/**
 * What the framework and the protocol's SDK want to log, as far as it can hold nothing of what a client has sent: of
 * each part what stands before the first colon, quote or brace. Behind these they quote messages whole, values, names
 * and ids.
 */
export function withoutContents(parts: readonly unknown[]): string {
  return parts
    .map((part) => (part instanceof Error ? part.message : part))
    .map((part) => (typeof part === "string" ? /^[^:\n"'`{]*/.exec(part)?.[0].trim() : undefined))
    .filter(Boolean)
    .join(" ");
}
