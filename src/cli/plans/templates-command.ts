import type { Call } from "../../actions/define-action.js";
import { describeTemplate } from "../../actions/plans/list-all-plans.js";
import { placeOfTemplates } from "../../actions/plans/standing-in.js";
import type { OpenServices } from "../sessions/open-services.js";
import { renderRows } from "../table.js";

const COLUMNS = ["name", "from", "inputs", "description"] as const;
type Column = (typeof COLUMNS)[number];

const SHRINK: readonly (readonly [Column, number])[] = [
  ["description", 20],
  ["inputs", 20],
  ["description", 0],
  ["from", 0],
  ["inputs", 0],
];

/**
 * Lists what plans can be begun from; those of a repository by the one that is named, else the one that one stands in.
 * @returns the exit code: 0
 * @throws ActionError when what is named is no repository
 */
export async function listTemplatesInTerminal(
  where: { repository_url: string | undefined; git_branch: string | undefined },
  { services }: Pick<OpenServices, "services">,
  options: { call: Call; json: boolean; out: (text: string) => void; width: number | undefined },
): Promise<number> {
  const { call, json, out, width } = options;
  const place = await placeOfTemplates(where, call, services);
  const found = (await services.templates.list(place, call.signal)).map((one) => describeTemplate(one));
  if (json) {
    out(`${JSON.stringify({ templates: found }, null, 2)}\n`);
    return 0;
  }
  const named = found.filter(({ name }) => name !== "");
  const rows = named.map(({ name, source, inputs, description = "" }) => ({
    cells: {
      name,
      from: source,
      // A star: it has to be given.
      inputs: inputs.map((input) => `${input.name}${input.required ? "*" : ""}`).join(", "),
      description,
    },
  }));
  const table = renderRows(rows, {
    columns: COLUMNS,
    shrink: SHRINK,
    width,
    toned: "name",
    paint: (text) => text,
  });
  const problems = found.flatMap(({ problem }) => problem ?? []);
  const lines = [
    named.length === 0 ? "No templates." : table,
    ...(named.length === 0
      ? []
      : ["", "`automagik-workflows-mcp plan run NAME` begins one; inputs with * are asked for."]),
    ...(problems.length > 0 ? ["", ...problems] : []),
  ];
  out(`${lines.join("\n")}\n`);
  return 0;
}
