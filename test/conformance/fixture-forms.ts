import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { DEFAULTS_MESSAGE, ENUMS_MESSAGE } from "./fixture-actions.js";

/**
 * Kinds of fields that the suite looks for and our forms never have, because not every client can show them. They
 * are added to forms that are otherwise ours, so that the suite's answers come back through our reading of them.
 */
const FURTHER_FIELDS: Record<string, Record<string, object>> = {
  [DEFAULTS_MESSAGE]: {
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  },
  [ENUMS_MESSAGE]: {
    untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
  },
};

interface Form {
  method?: string;
  params?: { message?: string; requestedSchema?: { properties?: object } };
}

/** Adds those fields to what is sent on the transport. */
export function widenForms(transport: Transport): void {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => send(widen(message), options);
}

function widen(message: JSONRPCMessage): JSONRPCMessage {
  const { method, params } = message as Form;
  const further = method === "elicitation/create" && FURTHER_FIELDS[params?.message ?? ""];
  if (!further) return message;
  const requestedSchema = {
    ...params?.requestedSchema,
    properties: { ...params?.requestedSchema?.properties, ...further },
  };
  return { ...message, params: { ...params, requestedSchema } } as JSONRPCMessage;
}
