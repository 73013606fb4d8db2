/** Keywords of answers that some clients and model providers refuse and nobody needs. */
export const OUTPUT_DROPPED = ["$schema", "propertyNames"];
/** The same of arguments. */
export const INPUT_DROPPED = [...OUTPUT_DROPPED, "additionalProperties"];

/** A schema without those keywords, in which what may be anything is said as `true`: linters take `{}` for a slip. */
export function plainSchema(schema: unknown, dropped: readonly string[]): unknown {
  if (Array.isArray(schema)) return schema.map((one) => plainSchema(one, dropped));
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => !dropped.includes(key))
      .map(([key, value]) => {
        const isAnything = key === "additionalProperties" && JSON.stringify(value) === "{}";
        return [key, isAnything ? true : plainSchema(value, dropped)];
      }),
  );
}
