import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, visitorKeys } from "oxc-parser";

/** The part of a syntax tree's node that is looked at. */
interface Node {
  type: string;
  start: number;
  end: number;
  [property: string]: unknown;
}

/** Files whose texts are code of another language. */
const NO_PROSE = /\/migrations\//;
/** Stands right before other texts that are. */
const CODE_FOLLOWS = "/* sh */ ";
/** Texts that are, in other files. */
const SQL =
  /^(?:(?:pragma|begin immediate|create (?:table|index)|insert into|delete from|select (?:\d|\w+\())|\w+ as \w+$)/;

/** Attributes of a page's parts whose values are names for the machine. */
const NAMES = /^(?:class|d|href|id|key|viewBox|marker-end|data-.*)$/;

/** Whatever is read by a person or a model has words with a space between them. */
const SENTENCE = /\p{L}[\p{L}\d.,:;"'`)…}]*\s+[("'`{…]*\p{L}/u;

/**
 * All texts in the sources that a person or a model may read: string and template literals with words in them, whole
 * where they are put together by `+`, in the order in which they stand. What is filled in is shown as `{…}`.
 */
export function collectTexts(): Map<string, string[]> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => `src/${name.split(sep).join("/")}`)
    .filter((name) => !NO_PROSE.test(name))
    .sort();
  const texts = files.map((file): [string, string[]] => [
    file,
    textsOf(file, readFileSync(join(root, file), "utf8")),
  ]);
  return new Map(texts.filter(([, found]) => found.length > 0));
}

function textsOf(file: string, source: string): string[] {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const found: string[] = [];

  /** Collects a node's texts; gives the node itself as text, where it is one. */
  function read(node: Node): string | undefined {
    if (node.type === "Literal") return typeof node.value === "string" ? node.value : undefined;
    if (source.slice(0, node.start).endsWith(CODE_FOLLOWS)) return undefined;
    if (node.type === "TemplateLiteral") return readTemplate(node);
    if (node.type === "JSXText") return (node.value as string).replace(/\s+/g, " ").trim();
    if (node.type === "JSXAttribute" && NAMES.test(String((node.name as { name: unknown }).name)))
      return undefined;
    if (node.type === "BinaryExpression" && node.operator === "+") {
      const [left, right] = [read(node.left as Node), read(node.right as Node)];
      if (left !== undefined || right !== undefined)
        return (left ?? name(node.left as Node)) + (right ?? name(node.right as Node));
      return undefined;
    }
    if (node.type === "ParenthesizedExpression") return read(node.expression as Node);
    for (const key of visitorKeys[node.type] ?? []) visit(node[key]);
    return undefined;
  }

  function readTemplate(node: Node): string {
    const values = node.expressions as Node[];
    for (const value of values) keep(read(value));
    return (node.quasis as { value: { cooked: string } }[])
      .map(({ value }, index) => value.cooked + (values[index] ? name(values[index]) : ""))
      .join("");
  }

  /** What is filled in, by its name where it has one. */
  function name({ start, end }: Node): string {
    const text = source.slice(start, end);
    return /^[\w.]{1,40}$/.test(text) ? `{${text}}` : "{…}";
  }

  function keep(text: string | undefined): void {
    if (text !== undefined && SENTENCE.test(text) && !SQL.test(text)) found.push(text);
  }

  function visit(value: unknown): void {
    if (Array.isArray(value)) for (const one of value) visit(one);
    else if (isNode(value) && !/^(?:Import|ExportAll|TS)/.test(value.type)) keep(read(value));
    else if (isNode(value) && /^TS(?:As|NonNull|Satisfies)Expression$/.test(value.type))
      visit(value.expression);
  }

  visit(program);
  return found;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}
