import type { Answer } from "../../actions/answer.js";
import { shellWord } from "../../shared/shell-word.js";

type Missing = NonNullable<Answer["missing"]>[number];

const FLAGS: Record<string, string> = {
  session_name: "--name NAME",
  repository_url: "--repository ADDRESS|FOLDER",
  git_branch: "--branch BRANCH",
};

const NOBODY = "Nobody can be asked here.";

/**
 * What has come of a command, as text; where something is missing, with the flags that say it.
 * @param otherwise what is said of a yes or no that nobody could be asked for
 */
export function tellAnswer({ summary, missing = [] }: Answer, otherwise = ""): string {
  if (missing.length === 0) return summary;
  const details = missing.filter(({ name }) => name === "confirm").map(({ description }) => description);
  const flags = missing.filter(({ name }) => name !== "confirm").map((one) => `  ${tellFlag(one)}`);
  const nobody = summary.includes(NOBODY) ? [] : [NOBODY];
  const ways = flags.length > 0 ? ["These flags say it:"] : otherwise ? [otherwise] : [];
  const last = [[...nobody, ...ways].join(" "), ...flags].filter(Boolean).join("\n");
  return [summary, ...details, ...(last ? [last] : [])].join("\n\n");
}

function tellFlag({ name, description, required, suggestion, choices = [] }: Missing): string {
  if (name === "agree") return `--agree ${shellWord(description)}`;
  const flag = FLAGS[name] ?? `--input ${name.replace(/^input_/, "")}=…`;
  const values = choices.length > 0 ? ` One of ${choices.map(({ value }) => value).join(", ")}.` : "";
  const offer = suggestion === undefined ? "" : ` Suggested: ${suggestion}.`;
  return `${flag}  ${required ? "" : "(may be empty) "}${description}${values}${offer}`;
}
