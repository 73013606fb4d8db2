import type { Field, Fields } from "../plan.js";

/** The fields of a step's output as a JSON Schema, for APIs that have their agents give what a schema asks for. */
export function schemaOf(fields: Fields): Record<string, unknown> {
  return {
    type: "object",
    properties: Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [name, schemaOfField(field)]),
    ),
    required: Object.entries(fields)
      .filter(([, { required }]) => required)
      .map(([name]) => name),
    additionalProperties: false,
  };
}

function schemaOfField({ type, enum: choices, description }: Field): Record<string, unknown> {
  return {
    ...(type === "list" ? { type: "array", items: { type: "string" } } : { type }),
    ...(choices ? { enum: choices } : {}),
    ...(description === undefined ? {} : { description }),
  };
}
