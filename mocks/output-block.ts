/** A block that shows which fields are wanted: the last one of the message that is an object. */
const BLOCK = /```json\n(\{[^`]*\})\s*```/g;
const PLACEHOLDER = "…";

/**
 * What an agent gives that is asked for fields as a fenced JSON block: the values of the message's own example, which
 * fit by themselves, with texts in place of its dots. Undefined where the message asks for nothing of the kind.
 * @param known values that are told
 */
export function blockFor(message: string, known: Record<string, unknown>): string | undefined {
  const example = readObject([...message.matchAll(BLOCK)].at(-1)?.[1]);
  if (!example) return undefined;
  const fields = Object.entries(example).map(([name, value]) => [name, fill(name, value)]);
  const block = { ...Object.fromEntries(fields), ...known };
  return ["```json", JSON.stringify(block, null, 2), "```"].join("\n");
}

function readObject(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function fill(name: string, value: unknown): unknown {
  const words = name.replaceAll("_", " ");
  if (value === PLACEHOLDER) return `What was found as ${words}`;
  if (!Array.isArray(value)) return value;
  return value.map((one, at) => (one === PLACEHOLDER ? `${words}, number ${at + 1}` : one));
}
