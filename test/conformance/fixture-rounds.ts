// What the suite's tools of protocol 2026-07-28 ask of the client, in the suite's words.

export const FORM = {
  method: "elicitation/create",
  params: {
    mode: "form",
    message: "What is your name?",
    requestedSchema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
  },
};

export const SAMPLING = {
  method: "sampling/createMessage",
  params: {
    messages: [{ role: "user", content: { type: "text", text: "What is the capital of France?" } }],
    maxTokens: 100,
  },
};

export const ROOTS = { method: "roots/list", params: {} };

export const INPUTS = { user_name: FORM, greeting: SAMPLING, client_roots: ROOTS };
