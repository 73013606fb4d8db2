import { readChosen, shownLabels } from "../choice-labels.js";
import { asList, asRecord, asText, type JsonRecord } from "../json.js";

/** A form of the agent as the questions of the tool `AskUserQuestion`, and how its answers become the form's content. */
export interface FormQuestions {
  input: JsonRecord;
  /** @param answers by the questions' texts */
  content(answers: JsonRecord): JsonRecord;
}

interface Field {
  key: string;
  question: string;
  options: { value: unknown; label: string; description?: string | undefined }[];
  many: boolean;
  type: string;
  /** Where an answer of one's own goes that is none of the options. */
  note?: string | undefined;
}

/**
 * Reads the questions of a form.
 * @param params those of `elicitation/create`
 * @returns undefined when nobody should be asked this way: it is no form, has nothing to ask, or asks for a secret
 */
export function readForm(params: JsonRecord): FormQuestions | undefined {
  if (params.mode !== undefined && params.mode !== "form") return undefined;
  const properties = asRecord(asRecord(params.requestedSchema).properties);
  const entries = Object.entries(properties).map(([key, property]) => [key, asRecord(property)] as const);
  if (entries.some(([, property]) => asRecord(asRecord(property._meta).codex).isSecret === true))
    return undefined;
  const notes = new Map(
    entries.flatMap(([key, property]) => {
      const about = asRecord(asRecord(property._meta).codex);
      return about.role === "user_note" ? [[String(about.questionId), key] as const] : [];
    }),
  );
  const isNote = new Set(notes.values());
  const fields = entries
    .filter(([key]) => !isNote.has(key))
    .map(([key, property]) => readField(key, property, notes.get(key)));
  if (fields.length === 0) return undefined;
  const texts = new Set<string>();
  for (const field of fields) {
    if (texts.has(field.question)) field.question += ` (${field.key})`;
    texts.add(field.question);
  }
  return {
    input: {
      questions: fields.map(({ question, options, many }) => ({
        question,
        multiSelect: many,
        options: options.map(({ label, description }) => ({
          label,
          ...(description ? { description } : {}),
        })),
      })),
    },
    content: (answers) =>
      Object.fromEntries(fields.flatMap((field) => fill(field, asText(answers[field.question])))),
  };
}

function readField(key: string, property: JsonRecord, note: string | undefined): Field {
  const many = property.type === "array";
  const source = many ? asRecord(property.items) : property;
  const titled = [...asList(source.oneOf), ...asList(source.anyOf)].map(asRecord);
  const plain = asList(source.enum).map((value) => ({ value, label: asLabel(value) }));
  const options = titled.map(({ const: value, title, description }) => ({
    value,
    label: asText(title) ?? asLabel(value),
    description: asText(description),
  }));
  const yesNo = property.type === "boolean" ? [true, false] : [];
  return {
    key,
    question: asText(property.title) ?? asText(property.description) ?? key,
    options: withShownLabels([
      ...options,
      ...plain,
      ...yesNo.map((value) => ({ value, label: value ? "Yes" : "No" })),
    ]),
    many,
    type: String(property.type),
    note,
  };
}

function asLabel(value: unknown): string {
  return asText(value) ?? JSON.stringify(value) ?? "";
}

function withShownLabels(options: Field["options"]): Field["options"] {
  const labels = shownLabels(options.map(({ label }) => label));
  return options.map((option, index) => ({ ...option, label: labels[index] ?? option.label }));
}

function fill(field: Field, answer: string | undefined): [string, unknown][] {
  if (answer === undefined) return [];
  const valueFor = (label: string) => field.options.find((option) => option.label === label)?.value;
  if (field.many) {
    const labels = field.options.map(({ label }) => label);
    const chosen = readChosen(answer, labels) ?? answer.split(", ");
    return [[field.key, chosen.map((label) => valueFor(label) ?? label)]];
  }
  const value = valueFor(answer);
  if (value !== undefined) return [[field.key, value]];
  if (field.note !== undefined) {
    const last = field.options.at(-1)?.value;
    return [...(last === undefined ? [] : [[field.key, last] as [string, unknown]]), [field.note, answer]];
  }
  if (field.type === "number" || field.type === "integer") return [[field.key, Number(answer)]];
  return [[field.key, answer]];
}
