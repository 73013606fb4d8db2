import { parseBoundedJson } from "../../shared/bounded-json.js";
import { BOUNDS, type Field, type FieldValue, optional } from "../plan.js";
import { quote } from "./problems.js";

/**
 * A value for a field. Numbers, booleans and lists may be written as text, the values of an enum in any case.
 * @returns the value, or a sentence's end: "must be one of low, high"
 */
export function readFieldValue(
  field: Field,
  raw: unknown,
): { value: FieldValue } | { problem: string; nearest?: string } {
  switch (field.type) {
    case "integer":
    case "number": {
      const value = typeof raw === "string" ? looseNumber(raw) : raw;
      const isGood = field.type === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value);
      return isGood
        ? { value: value as number }
        : { problem: `must be a ${field.type === "integer" ? "whole " : ""}number, and is ${quote(raw)}` };
    }
    case "boolean": {
      const value = typeof raw === "string" ? looseBoolean(raw) : raw;
      return typeof value === "boolean"
        ? { value }
        : { problem: `must be true or false, and is ${quote(raw)}` };
    }
    case "list": {
      const value = typeof raw === "string" ? listOf(raw) : raw;
      if (!Array.isArray(value)) return { problem: `must be a list of texts, and is ${quote(raw)}` };
      if (value.length > BOUNDS.listItems)
        return { problem: `must have at most ${BOUNDS.listItems} items, and has ${value.length}` };
      const items = value.map((item) =>
        typeof item === "number" || typeof item === "boolean" ? String(item) : item,
      );
      const wrong = items.find((item) => typeof item !== "string" || item.length > BOUNDS.itemChars);
      if (wrong !== undefined)
        return {
          problem: `must be a list of texts of at most ${BOUNDS.itemChars} characters, and has ${quote(wrong)}`,
        };
      return { value: items as string[] };
    }
    default: {
      if (typeof raw !== "string" && typeof raw !== "number" && typeof raw !== "boolean")
        return { problem: `must be a text, and is ${quote(raw)}` };
      const value = String(raw);
      if (!field.enum)
        return value.length > BOUNDS.taskChars
          ? { problem: `must have at most ${BOUNDS.taskChars} characters` }
          : { value };
      const meant = field.enum.find((choice) => choice.toLowerCase() === value.trim().toLowerCase());
      if (meant !== undefined) return { value: meant };
      return {
        problem: `must be one of ${field.enum.join(", ")}, and is ${quote(raw)}`,
        ...optional("nearest", field.enum[0]),
      };
    }
  }
}

/** A list as people and models write it: JSON, or one item a line. */
function listOf(text: string): unknown {
  const value = fromJson(text, "[");
  if (Array.isArray(value)) return value;
  return text
    .split("\n")
    .map((line) => line.replace(/^\s*[-*]\s+/, "").trim())
    .filter(Boolean);
}

/** The number that a text says, else the text. */
export function looseNumber(text: string): unknown {
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(text.trim()) ? Number(text) : text;
}

/** The boolean that a text says, else the text. */
export function looseBoolean(text: string): unknown {
  return /^\s*(?:true|false)\s*$/i.test(text) ? text.trim().toLowerCase() === "true" : text;
}

/** What a text says that begins like JSON; else the value as it is. */
export function fromJson(value: unknown, sign: "{" | "["): unknown {
  if (typeof value !== "string" || !value.trimStart().startsWith(sign)) return value;
  try {
    return parseBoundedJson(value);
  } catch {
    return value;
  }
}
