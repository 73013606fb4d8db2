import { asRecord, type JsonRecord } from "../json.js";

/** Far more than anybody asks an agent for. */
const MAX_OUTPUT_CHARS = 200_000;

/**
 * A result's text with what was given by the schema as a fenced JSON block behind it, so that whoever reads results as
 * texts has both. The program itself tells the JSON alone in place of the agent's words.
 * @param said what the agent has said last
 * @returns undefined where nothing was given
 */
export function tellStructured(result: JsonRecord, said: string): string | undefined {
  const given = result.structured_output;
  if (typeof given !== "object" || given === null || Array.isArray(given)) return undefined;
  const block = JSON.stringify(asRecord(given), null, 2);
  if (block.length > MAX_OUTPUT_CHARS) return undefined;
  return `${said ? `${said}\n\n` : ""}\`\`\`json\n${block}\n\`\`\``;
}
