import * as z from "zod";
import { line } from "./fields.js";

const refusalWire = z.looseObject({
  detail: z.union([
    z.string(),
    z.array(z.looseObject({ loc: z.array(z.unknown()).optional().catch(undefined), msg: z.string() })),
  ]),
});

/**
 * Whether an error answer states that nothing came of the request. Status 503 alone does not: a proxy says it as well,
 * whatever the server behind it has done.
 */
export function saysNotStarted(body: unknown): boolean {
  return typeof body === "object" && body !== null && "started" in body && body.started === false;
}

/** Whether a start was refused because its `Idempotency-Key` was made for another database than the API has now. */
export function saysStaleKey(body: unknown): boolean {
  return saysNotStarted(body) && (body as { error_code?: unknown }).error_code === "key_of_another_database";
}

/** The API's own words for an error: `detail` as a text, or pydantic's list as "field: message; …". */
export function parseRefusal(body: unknown): string | undefined {
  const parsed = refusalWire.safeParse(body);
  if (!parsed.success) return undefined;
  const { detail } = parsed.data;
  if (typeof detail === "string") return line(detail, 600);
  const complaints = detail.map(({ loc = [], msg }) => {
    const field = (loc[0] === "body" && loc.length > 1 ? loc.slice(1) : loc).join(".");
    return field ? `${field}: ${msg}` : msg;
  });
  return line(complaints.join("; "), 600);
}
