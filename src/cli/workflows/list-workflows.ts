import type { OpenWorkflows } from "./open-workflows.js";

const SHOWN = { shipped: "shipped", yours: "yours", copy: "changed copy" } as const;

/**
 * Lists the workflows with where each comes from, then what cannot be used.
 * @returns the exit code: 0, also where something cannot be used
 */
export function listWorkflows(
  { workflows, problems, ownFolder }: OpenWorkflows,
  options: { json: boolean; out: (text: string) => void },
): number {
  const told = workflows.map(({ name, description, from, copy }) => ({
    name,
    from: copy && !copy.isChanged ? "unchanged copy" : SHOWN[from],
    description,
    ...(copy
      ? { folder: copy.folder, copied_from_version: copy.version, original_changed: copy.isOutdated }
      : {}),
  }));
  if (options.json) {
    options.out(`${JSON.stringify({ folder: ownFolder, workflows: told, problems }, null, 2)}\n`);
    return 0;
  }
  const width = (key: "name" | "from") => Math.max(...told.map((one) => one[key].length), key.length);
  const [name, from] = [width("name"), width("from")];
  const lines = [
    `${"NAME".padEnd(name)}  ${"FROM".padEnd(from)}  WHAT`,
    ...told.map((one) => `${one.name.padEnd(name)}  ${one.from.padEnd(from)}  ${one.description}`),
    "",
    ...told
      .filter((one) => one.original_changed)
      .map(
        (one) =>
          `The original of ${one.name} has changed since version ${one.copied_from_version}; see workflows edit ${one.name}.`,
      ),
    ...problems.map(({ message }) => message),
    `Yours are in ${ownFolder}. To change one that came with the engine: automagik-workflows-mcp workflows edit NAME`,
  ];
  options.out(`${lines.join("\n")}\n`);
  return 0;
}
